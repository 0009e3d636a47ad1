"""The settings of a run that say what its training maximizes, how it goes about it, and what is made in the end."""

import dataclasses

from keras_vae.runs.options import MANY, MOST, option


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
        "nats of each dimension that cost nothing in objective=free_bits",
        low=0,
        high=MANY,
        acts_with=("objective", ("free_bits",)),
    )
    capacity: float = option(
        25.0,
        "nats the KL is held at in objective=capacity, after kl_warmup_steps",
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
        "how the KL weight rises in kl_warmup_steps",
        choices=("linear", "cosine", "cyclic"),
        acts_with=("kl_warmup_steps", ()),
    )
    kl_warmup_steps: int = option(0, "steps in which the KL weight (or the capacity) rises from 0", low=0, high=MOST)
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
    export: bool = option(True, "write the SavedModel and the TFLite decoder when done")
