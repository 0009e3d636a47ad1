"""The optimizer of a run, its learning rate, and the number of its steps."""

import keras

from keras_vae.engine.averages import AveragingAdam
from keras_vae.runs.config import Config


def num_steps(config: Config, num_images: int) -> int:
    """Returns the number of training steps of a run."""
    return config.epochs * -(-num_images // config.batch_size)


def optimizer(config: Config, num_images: int) -> keras.optimizers.Adam:
    """Returns the optimizer of a run: Adam, or AdamW with a `weight_decay`, with averages of the weights for `ema`."""
    averages = {"ema_momentum": config.ema} if config.ema else {}
    return (AveragingAdam if config.ema else keras.optimizers.Adam)(
        learning_rate(config, num_images),
        beta_2=config.beta_2,
        epsilon=config.epsilon,
        # In Keras 3, Adam with a weight decay is AdamW: the decay is apart from the gradient.
        weight_decay=config.weight_decay or None,
        global_clipnorm=config.clip_norm or None,
        **averages,
    )


def learning_rate(config: Config, num_images: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate of a run: a number or a Keras schedule over its steps."""
    steps = num_steps(config, num_images)
    if config.learning_rate_schedule == "constant":
        return config.learning_rate
    if config.learning_rate_schedule == "stages":
        # In Burda, Grosse and Salakhutdinov (2016), section 5, stage i of 0..7 has 3^i of 3,280 parts of the steps and
        # 10^(-i/7) of the rate. The boundaries are one less, because for Keras the step at a boundary is before it.
        ends = [round(steps * (3 ** (i + 1) - 1) / (3**8 - 1)) - 1 for i in range(7)]
        rates = [config.learning_rate * 10 ** (-i / 7) for i in range(8)]
        return keras.optimizers.schedules.PiecewiseConstantDecay(ends, rates)
    warmup = min(config.warmup_steps, steps // 2)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else config.learning_rate,
        decay_steps=steps - warmup,
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
