"""Objectives that are lower bounds of log p(x), and ELBOs whose KL term is changed."""

from typing import Any, Literal

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.objectives import terms
from keras_vae.objectives.objective import LatentBatch, Objective, Terms, register
from keras_vae.objectives.schedules import Schedule, as_schedule
from keras_vae.utils import checks
from keras_vae.utils.arguments import NonNegativeFloat, PositiveFloat, PositiveInt, checked

KL_ESTIMATORS = ("analytic", "monte_carlo", "path_derivative")


@register
class ELBO(Objective):
    """`log p(x|z) - kl_weight * KL(q(z|x) || p(z))` at one sample z (Kingma and Welling, 2013, equation 3).

    With a `kl_weight` above 1 in the model it is the beta-VAE (Higgins et al., 2017).

    Args:
      kl: how the KL is computed. "analytic" takes TFP's closed form if there is one. "monte_carlo" takes
        `log q(z|x) - log p(z)` at z. "path_derivative" has the same value, but takes the gradient of log q through z
        only, which has no variance at the exact posterior (Roeder, Wu and Duvenaud, "Sticking the landing", 2017).
    """

    @checked
    def __init__(self, kl: Literal["analytic", "monte_carlo", "path_derivative"] = "analytic") -> None:
        self.kl = checks.one_of("kl", kl, KL_ESTIMATORS)

    def __call__(self, batch: LatentBatch, kl_weight: tf.Tensor) -> Terms:
        z = batch.draw()
        log_likelihood = batch.log_likelihood(z)
        if self.kl == "analytic":
            kl = terms.kl_divergence(batch.posterior, batch.prior, z)
        else:
            posterior = terms.stop_parameters(batch.posterior) if self.kl == "path_derivative" else batch.posterior
            kl = posterior.log_prob(z) - batch.prior.log_prob(z)
        return Terms(terms.elbo(log_likelihood, kl, kl_weight), {"log_likelihood": log_likelihood, "kl": kl})

    def kl_method(self, posterior: tfd.Distribution, prior: tfd.Distribution) -> str:
        return super().kl_method(posterior, prior) if self.kl == "analytic" else "monte_carlo"

    def get_config(self) -> dict[str, Any]:
        return {"kl": self.kl}


@register
class FreeBits(Objective):
    """ELBO in which the KL of each dimension, or that of all z, costs nothing up to `nats`.

        log p(x|z) - kl_weight * sum_d max(nats, E_x[KL_d])      of="dimension"
        log p(x|z) - kl_weight * max(nats, E_x[KL])              of="z"

    Kingma et al., "Improving variational inference with inverse autoregressive flow" (2016), equation 15, with a group
    for each dimension, or one group. What carries little information is not pushed to carry none. With "dimension",
    posterior and prior must factorize; "z" takes any that have a density.

    Args:
      nats: free KL of each dimension or of z, at least 0.
      of: "dimension" or "z".
    """

    @checked
    def __init__(self, nats: NonNegativeFloat = 0.1, of: Literal["dimension", "z"] = "dimension") -> None:
        self.nats = checks.nonnegative_float("nats", nats)
        self.of = checks.one_of("of", of, ("dimension", "z"))

    def __call__(self, batch: LatentBatch, kl_weight: tf.Tensor) -> Terms:
        z = batch.draw()
        log_likelihood = batch.log_likelihood(z)
        if self.of == "z":
            kl = terms.kl_divergence(batch.posterior, batch.prior, z)
            paid = tf.maximum(self.nats, batch.mean(kl))
            return Terms(log_likelihood - kl_weight * paid, {"log_likelihood": log_likelihood, "kl": kl})
        kl = terms.kl_per_dimension(batch.posterior, batch.prior)
        paid = tf.reduce_sum(tf.maximum(self.nats, batch.mean(kl)))
        total = tf.reduce_sum(kl, axis=list(range(1, kl.shape.rank)))
        return Terms(log_likelihood - kl_weight * paid, {"log_likelihood": log_likelihood, "kl": total})

    def get_config(self) -> dict[str, Any]:
        return {"nats": self.nats, "of": self.of}


@register
class Capacity(Objective):
    """ELBO whose KL is held near a capacity, which may grow: `log p(x|z) - weight * |KL - capacity|`.

    Burgess et al., "Understanding disentangling in beta-VAE" (2018), equation 8. `kl_weight` multiplies the second
    term.

    Args:
      capacity: nats, a number of at least 0 or a `Schedule`.
      weight: factor on the distance from the capacity, positive.
    """

    @checked
    def __init__(self, capacity: NonNegativeFloat | Schedule, weight: PositiveFloat = 100.0) -> None:
        self.capacity = as_schedule("capacity", capacity)
        self.weight = checks.positive_float("weight", weight)

    def __call__(self, batch: LatentBatch, kl_weight: tf.Tensor) -> Terms:
        z = batch.draw()
        log_likelihood = batch.log_likelihood(z)
        kl = terms.kl_divergence(batch.posterior, batch.prior, z)
        distance = tf.abs(kl - self.capacity(batch.step))
        return Terms(log_likelihood - kl_weight * self.weight * distance, {"log_likelihood": log_likelihood, "kl": kl})

    def get_config(self) -> dict[str, Any]:
        return {"capacity": keras.saving.serialize_keras_object(self.capacity), "weight": self.weight}


@register
class IWAE(Objective):
    """Importance-weighted bound `log 1/K sum_k p(x, z_k) / q(z_k|x)` (Burda, Grosse and Salakhutdinov, 2016).

    A `kl_weight` other than 1 multiplies `log q - log p` in each weight.

    Args:
      num_samples: K, a positive integer.
    """

    @checked
    def __init__(self, num_samples: PositiveInt = 5) -> None:
        self.num_samples = checks.positive_int("num_samples", num_samples)

    def __call__(self, batch: LatentBatch, kl_weight: tf.Tensor) -> Terms:
        z = batch.draw(self.num_samples)
        return self._terms(batch, z, batch.log_likelihood(z), batch.posterior, kl_weight)[0]

    def kl_method(self, posterior: tfd.Distribution, prior: tfd.Distribution) -> str:
        return "monte_carlo"

    def _terms(self, batch, z, log_likelihood, posterior, kl_weight):
        log_ratio = posterior.log_prob(z) - batch.prior.log_prob(z)
        log_weights = log_likelihood - kl_weight * log_ratio
        kl = terms.kl_divergence(batch.posterior, batch.prior, z)
        bound = terms.importance_weighted_bound(log_weights)
        return Terms(bound, {"log_likelihood": tf.reduce_mean(log_likelihood, axis=0), "kl": kl}), log_weights

    def get_config(self) -> dict[str, Any]:
        return {"num_samples": self.num_samples}


@register
class DReG(IWAE):
    """The bound of `IWAE` with the doubly reparameterized gradient for the encoder.

    With normalized weights v_k, the gradient of decoder and prior is `sum_k v_k d log w_k`, and that of the encoder is
    `sum_k v_k^2 (d log w_k / d z_k) (d z_k / d phi)`, whose signal does not vanish as K grows (Tucker, Lawson, Gu and
    Maddison, "Doubly reparameterized gradient estimators", 2019, equation 7). With a `kl_weight` of beta in the
    weights, v_k^2 becomes `(1 - beta) v_k + beta v_k^2`, by the same derivation.

    Args:
      num_samples: K, a positive integer.
    """

    def __call__(self, batch: LatentBatch, kl_weight: tf.Tensor) -> Terms:
        normalized = []

        @tf.custom_gradient
        def gate(z):
            # In the backward pass the gradient of `sum_k v_k log w_k` arrives here. It lacks one more factor v_k.
            return tf.identity(z), lambda gradient: (1.0 - kl_weight + kl_weight * normalized[0][..., None]) * gradient

        z = gate(batch.draw(self.num_samples))
        posterior = terms.stop_parameters(batch.posterior)
        values, log_weights = self._terms(batch, z, batch.log_likelihood(z), posterior, kl_weight)
        normalized.append(tf.stop_gradient(tf.nn.softmax(log_weights, axis=0)))
        # The result has the value of the bound and the gradient of the surrogate.
        surrogate = tf.reduce_sum(normalized[0] * log_weights, axis=0)
        bound = surrogate + tf.stop_gradient(values.objective - surrogate)
        return values._replace(objective=bound)
