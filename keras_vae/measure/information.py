"""The KL term of the ELBO over a whole data set, as mutual information plus the KL of the aggregate posterior."""

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_vae.utils import checks
from keras_vae.utils.arguments import ArrayLike, PositiveInt, Seed, checked
from keras_vae.utils.statistics import standard_error

# All pairs are computed in blocks of this many numbers, which take 64 MB.
PAIRS = 16_000_000


@checked
def split_kl(
    posterior: tfd.Distribution, prior: tfd.Distribution, num_samples: PositiveInt = 1, seed: Seed = 0
) -> dict:
    """Splits the mean KL into the information of z about its example, and the distance of q(z) from the prior.

        1/N sum_n KL(q(z|x_n) || p(z)) = I_q(n; z) + KL(q(z) || p(z)),  q(z) = 1/N sum_n q(z|x_n)
        I_q(n; z) = E[log q(z|x_n) - log q(z)] <= log N

    Hoffman and Johnson, "ELBO surgery" (2016), section 2. The samples of every example are evaluated under the
    posteriors of all N examples, so that the cost is num_samples * N^2. If I_q is near its bound log N, no two
    posteriors overlap, and the result depends on N more than on the model.

    `split_kl(vae.encode(x), vae.prior_distribution())` splits the KL of a model on x.

    Args:
      posterior: q(z|x_n) of N examples, a `tfd` distribution of batch shape `(N,)` and any event shape that can be
        sampled and has a density that broadcasts.
      prior: p(z), batch shape `()`.
      num_samples: samples of each posterior, a positive integer.
      seed: seed of the samples.

    Returns:
      Dict of plain numbers in nats, with `kl`, `mutual_information` and `marginal_kl`, each with its
      `_standard_error` over examples; the first is the sum of the other two, which come from the same samples. Further
      `max_mutual_information` (log N) and `num_examples`.

    Raises:
      ValueError: if `posterior` has no batch of examples or no density.
    """
    checks.positive_int("num_samples", num_samples)
    shape = posterior.batch_shape
    if shape.rank != 1 or posterior.event_shape.rank == 0:
        raise ValueError(
            f"`posterior` must have batch shape (count,) and the shape of z as event shape. "
            f"Received: batch shape {tuple(shape)} and event shape {tuple(posterior.event_shape)}"
        )
    z = posterior.sample(num_samples, seed=tf.constant([checks.nonnegative_int("seed", seed), 0]))
    conditional = posterior.log_prob(z).numpy().astype(np.float64)
    if not np.isfinite(conditional).all():
        raise ValueError(f"`posterior` must have a finite density at its samples. Received: {type(posterior).__name__}")
    marginal = aggregate_log_prob(posterior, tf.reshape(z, (-1, *posterior.event_shape))).reshape(conditional.shape)
    log_prior = prior.log_prob(z).numpy().astype(np.float64)
    terms = {
        "kl": conditional - log_prior,
        "mutual_information": conditional - marginal,
        "marginal_kl": marginal - log_prior,
    }
    values = {name: term.mean(axis=0) for name, term in terms.items()}
    return {
        **{name: float(value.mean()) for name, value in values.items()},
        **{f"{name}_standard_error": standard_error(value) for name, value in values.items()},
        "max_mutual_information": float(np.log(conditional.shape[1])),
        "num_examples": conditional.shape[1],
    }


@checked
def aggregate_log_prob(posterior: tfd.Distribution, z: ArrayLike) -> np.ndarray:
    """Returns log q(z) in nats for z `(num_points, *latent_shape)`, in blocks of bounded memory, `(num_points,)`.

        log q(z) = log sum_n q(z|x_n) - log N

    Args:
      posterior: q(z|x_n), batch shape `(N,)`; its `log_prob` must broadcast over z `(num_points, 1, *latent_shape)`.
      z: points `(num_points, *latent_shape)`.
    """
    count = posterior.batch_shape[0]
    size = max(1, PAIRS // (count * posterior.event_shape.num_elements()))

    @tf.function(reduce_retracing=True)
    def log_sum(block):
        return tf.reduce_logsumexp(posterior.log_prob(block[:, None]), axis=1)

    z = tf.convert_to_tensor(z, posterior.dtype)
    blocks = [log_sum(z[i : i + size]).numpy() for i in range(0, z.shape[0], size)]
    return np.concatenate(blocks).astype(np.float64) - np.log(count)
