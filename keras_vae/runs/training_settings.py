"""The settings of a run that say what its training maximizes, how it goes about it, and what is made in the end."""

import dataclasses

from keras_vae.runs.options import MANY, MOST, option

_WARMUP = [("kl_warmup_steps", ()), ("kl_warmup", ())]


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """The part of `Config` that is about training, and about what follows it."""

    objective: str = option(
        "elbo",
        "what training maximizes",
        choices=("elbo", "free_bits", "capacity", "iwae", "dreg", "beta_tcvae", "wae", "reconstruction"),
    )
    kl_estimator: str = option(
        "analytic",
        "KL of objective=elbo",
        choices=("analytic", "monte_carlo", "path_derivative"),
        acts_with=("objective", ("elbo",)),
    )
    num_samples: int = option(
        5,
        "samples an example in objective=iwae and dreg",
        low=1,
        high=10_000,
        acts_with=("objective", ("iwae", "dreg")),
    )
    free_bits: float = option(
        0.1,
        "nats that cost nothing in objective=free_bits",
        low=0,
        high=MANY,
        acts_with=("objective", ("free_bits",)),
    )
    free_bits_of: str = option(
        "dimension",
        "whether each dimension of z has so many free nats, for which posterior and prior must factorize, or all of z",
        choices=("dimension", "z"),
        acts_with=("objective", ("free_bits",)),
    )
    capacity: float = option(
        25.0,
        "nats the KL is held at in objective=capacity, after the warm-up of kl_warmup_steps or kl_warmup",
        low=0,
        high=MANY,
        acts_with=("objective", ("capacity",)),
    )
    penalty: float = option(
        0.0,
        "weight of the total correlation in objective=beta_tcvae, of the MMD in wae, of the distance in capacity; "
        "0 is the objective's own: 6, 100, 100",
        low=0,
        high=MANY,
        acts_with=("objective", ("beta_tcvae", "wae", "capacity")),
    )
    kl_weight: float = option(
        1.0, "factor on the KL term of the loss; 1 is the ELBO, above 1 the beta-VAE", low=0, high=MANY
    )
    kl_schedule: str = option(
        "linear",
        "how the KL weight rises in its warm-up",
        choices=("linear", "cosine", "cyclic"),
        acts_with=_WARMUP,
    )
    kl_warmup_steps: int = option(
        0, "steps in which the KL weight (or the capacity) rises from kl_start", low=0, high=MOST
    )
    kl_warmup: float = option(
        0.0, "the same as a share of all steps of the run, for example 0.1; instead of kl_warmup_steps", low=0, high=1
    )
    kl_start: float = option(
        0.0, "KL weight (or capacity) at the start of its warm-up", low=0, high=MANY, acts_with=_WARMUP
    )
    adapt: bool = option(
        True,
        "start from the training data: the encoder's input centered at its mean, the output there, pseudo-inputs at "
        "examples",
    )
    epochs: int = option(40, "passes over the training set", low=1, high=MANY)
    batch_size: int = option(128, "examples in a batch", low=1, high=MANY)
    learning_rate: float = option(2e-3, "peak learning rate of Adam", low=0, high=1000, open_ends=True)
    learning_rate_schedule: str = option(
        "cosine",
        "'cosine' falls to 0, 'constant' stays, 'stages' falls tenfold in 8 stages, each three times as long as the "
        "one before (Burda et al., 2016)",
        choices=("cosine", "constant", "stages"),
    )
    warmup_steps: int = option(
        500,
        "steps in which the learning rate of a cosine rises from 0",
        low=0,
        high=MOST,
        acts_with=("learning_rate_schedule", ("cosine",)),
    )
    epsilon: float = option(1e-7, "epsilon of Adam", low=0, high=1000, open_ends=True)
    beta_2: float = option(
        0.999, "decay of Adam's average of squared gradients, in a step", low=0, high=1, open_ends=True
    )
    weight_decay: float = option(
        0.0,
        "share of each weight, times the learning rate, that is taken from it in a step: AdamW (Loshchilov and Hutter, "
        "2019); 0 is Adam",
        low=0,
        high=1000,
    )
    clip_norm: float = option(
        0.0,
        "largest norm of all gradients together, to which longer ones are shortened; 0 leaves them",
        low=0,
        high=MANY,
    )
    ema: float = option(
        0.0,
        "momentum of averages of the weights, for example 0.999: validation, the saved model and all that comes after "
        "have the averages, training goes on with the weights; early steps t have momentum (1 + t) / (10 + t), if that "
        "is less; 0 keeps no averages",
        low=0,
        high=1,
    )
    precision: str = option(
        "float32",
        "what the networks compute in; weights, densities and the exported files are float32 in any case. bfloat16 is "
        "for processors with instructions for it (AMX, GPUs), elsewhere it is slower; float16, with a scaled loss, is "
        "for GPUs",
        choices=("float32", "bfloat16", "float16"),
    )
    seed: int = option(0, "seed of everything random in the run", low=0, high=2**31 - 1)
    num_importance_samples: int = option(500, "samples an example in the test log likelihood", low=1, high=MANY)
    strategy: str = option(
        "none",
        "'mirrored' trains on all GPUs of this machine, 'multi_worker' on the workers that TF_CONFIG or a Slurm step "
        "names; batch_size is that of all together, and the result the same",
        choices=("none", "mirrored", "multi_worker"),
    )
    image_grid_epochs: int = option(
        0,
        "epochs from one drawing of figures/epochs to the next, in TensorBoard too; 0 draws at the end only",
        low=0,
        high=MANY,
    )
    baseline: bool = option(
        False,
        "then also train the same model with z fixed at 0, as long, in RUN_DIR/baseline, and report its log likelihood "
        "too: what it says about x without z",
    )
    export: bool = option(True, "write the SavedModel and the TFLite decoder when done")

    def check_training(self) -> None:
        """Raises `ValueError` if settings of the training, each of the right kind, do not fit together."""
        if self.kl_warmup and self.kl_warmup_steps:
            raise ValueError(
                "`kl_warmup` must be 0 with kl_warmup_steps: both are the length of the warm-up. "
                f"Received: kl_warmup={self.kl_warmup:g}, kl_warmup_steps={self.kl_warmup_steps}"
            )
