#!/bin/bash
#SBATCH --job-name=vae
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=2
#SBATCH --requeue
# `sbatch docs/slurm.sh` from a folder that all nodes share. TF_CONFIG is not needed: the workers are the step's tasks.
# If one fails, all end; `scontrol requeue` (or sbatch again) goes on from the last checkpoint.
set -euo pipefail
srun --kill-on-bad-exit=1 python -m train --strategy=multi_worker --dataset=mnist --run_dir=runs/mnist
