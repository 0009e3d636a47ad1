"""The training and the evaluation step: one encoding, the objective, the optimizer, the metrics."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import objectives
from keras_vae.distributions.noise import EVALUATION_STREAM, Noise, NoiseSource
from keras_vae.engine import strategies
from keras_vae.engine.array_model import ArrayModel
from keras_vae.engine.block_steps import returns_metrics
from keras_vae.engine.custom_gradients import forgets_custom_gradients
from keras_vae.engine.keras_compat import loss_tracker
from keras_vae.objectives.objective import LatentBatch


class Steps(ArrayModel):
    """Mixin of a model with `encoder`, `decoder`, `prior_distribution`, `objective`, `kl_weight_at` and `seed`."""

    @returns_metrics
    @forgets_custom_gradients
    def train_step(self, data: tuple) -> dict[str, tf.Tensor]:
        noise = Noise(self.seed, self.train_steps + 1, strategies.replica())
        if strategies.replica()[1] > 1 and isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            # Keras's `LossScaleOptimizer` only looks for infinities in the gradients of one replica.
            raise ValueError(
                "`optimizer` must not scale the loss under several replicas: use mixed_bfloat16, not float16"
            )
        with tf.GradientTape() as tape:
            # This is the replica's share of the loss, because the optimizer sums gradients over replicas.
            loss, update = self._loss(data, noise, training=True)
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        self._apply(tape.gradient(scaled, variables), variables)
        self.train_steps.assign_add(1)
        update()
        return self.get_metrics_result()

    def _apply(self, gradients, variables):
        """Lets the optimizer update the variables, apart from those whose best value has a closed form."""
        of_variable = {id(v): g for v, g in zip(variables, gradients, strict=True)}

        def gradient_of(variable):
            gradient = of_variable.get(id(variable))
            return None if gradient is None else strategies.over_replicas(gradient / self.optimizer.scale_loss(1.0))

        settled = self.decoder.likelihood.closed_form(gradient_of)
        for variable, value in settled:
            variable.assign(value)
        # The optimizer neither moves nor decays a variable that is settled, and averages the value that it has now.
        known = {id(variable) for variable, _ in settled}
        left = [variable for variable in variables if id(variable) not in known]
        shares = [of_variable[id(variable)] for variable in left]
        self.optimizer.apply(strategies.clipped(shares, self.optimizer.global_clipnorm), left)

    @returns_metrics
    @forgets_custom_gradients
    def test_step(self, data: tuple) -> dict[str, tf.Tensor]:
        noise = Noise(self.seed, EVALUATION_STREAM + self._test_steps, strategies.replica())
        self._test_steps.assign_add(1)
        _, update = self._loss(data, noise, training=False)
        update()
        return self.get_metrics_result()

    @forgets_custom_gradients
    def predict_step(self, data: tuple) -> tf.Tensor:
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self(x, y if self.condition_dim is not None else None, training=False)

    def reset_metrics(self) -> None:
        super().reset_metrics()
        # Each evaluation starts with the same noise, so that two evaluations of a model give the same number.
        self._test_steps.assign(0)

    def encode_batch(
        self,
        x: tf.Tensor,
        condition: tf.Tensor | None = None,
        noise: NoiseSource | None = None,
        training: bool = False,
        weight: tf.Tensor | None = None,
        step: tf.Tensor | int = 0,
    ) -> LatentBatch:
        """Encodes a batch and returns it for an objective; `condition` is float `(batch, condition_dim)` or None."""
        x = tf.cast(x, self.event_dtype)
        # The prior comes first: a VampPrior calls the encoder too, and Keras keeps the losses of the last call alone,
        # which must be those of the data.
        prior = self.prior_distribution(condition)
        posterior = self.encoder(x, condition, training=training)

        def log_likelihood(z):
            several = z.shape.rank == 2 + len(self.latent_shape)
            copies = z.shape[0] if several else 1
            tiled = [None if t is None else _repeated(t, copies) for t in (x, condition)]
            flat = tf.reshape(z, (-1, *self.latent_shape))
            values = self.decoder(flat, tiled[1], training=training).log_prob(tiled[0])
            return tf.reshape(values, (copies, -1)) if several else values

        return LatentBatch(posterior, prior, noise, log_likelihood, weight, step)

    def _loss(self, data, noise, training):
        """Returns this replica's share of the loss, and a function that updates the metrics (outside the tape)."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        if not self.jit_compile:  # XLA knows no shape that changes from step to step
            x = self.decoder.likelihood.trimmed(tf.cast(x, self.event_dtype))
        condition = self.as_condition(y) if self.condition_dim is not None else None
        step = self.train_steps
        weight = tf.ones(tf.shape(x)[:1]) if weight is None else tf.cast(weight, tf.float32)
        batch = self.encode_batch(x, condition, noise, training, weight, step)
        kl_weight = self.kl_weight_at(step)
        terms = self.objective(batch, kl_weight)
        loss = -batch.share(terms.objective)
        if self.losses:
            loss += tf.add_n(self.losses) / strategies.replica()[1]

        logged = self._logged(terms.metrics)

        def update():
            # After the first step with a loss that is not finite the metrics do not change any more, so that the log
            # still tells which term it was.
            sound = tf.math.is_finite(tf.convert_to_tensor(loss_tracker(self).total))
            total = tf.where(sound, batch.total_weight, 0.0)
            shares = [batch.share(value) for value in logged.values()]
            values = [*tf.unstack(strategies.over_replicas(tf.stack([loss, *shares]))), kl_weight]
            trackers = [loss_tracker(self), *(self.tracker(name) for name in (*logged, "kl_weight"))]
            for tracker, value in zip(trackers, values, strict=True):
                tracker.update_state(tf.where(sound, value, 0.0), sample_weight=total)

        return loss, update

    def _logged(self, metrics):
        names = self.objective.metrics
        if set(metrics) != set(names):
            raise ValueError(
                f"`metrics` of the terms of {type(self.objective).__name__} must have the names of its attribute "
                f"`metrics`: {', '.join(names)}. Received: {', '.join(metrics)}"
            )
        return {"elbo": objectives.elbo(metrics["log_likelihood"], metrics["kl"]), **metrics}


def _repeated(tensor: Any, copies: int) -> Any:
    # The copies get an axis of their own first, because at a free batch size TFLite's converter takes a `tf.tile` along
    # the batch for a broadcast.
    tiled = tf.tile(tensor[None], [copies] + [1] * tensor.shape.rank)
    return tf.reshape(tiled, (-1, *keras.ops.shape(tensor)[1:]))
