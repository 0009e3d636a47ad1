"""Settings of runs that take seconds."""

import dataclasses

from keras_vae.runs.config import Config

SETTINGS = Config(
    dataset="data.npy",
    hidden_units=(8,),
    latent_dim=2,
    epochs=12,
    batch_size=32,
    learning_rate=0.01,
    warmup_steps=3,
    num_importance_samples=3,
    export=False,
    run_dir="run",
)
LONG = dataclasses.replace(SETTINGS, epochs=60)
