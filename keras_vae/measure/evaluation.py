"""`evaluate`, which measures a VAE on a data set in nats, and the numbers of its report."""

import math

import numpy as np
import tensorflow as tf

from keras_vae.data.examples import Examples
from keras_vae.distributions.noise import EVALUATION_STREAM, Noise
from keras_vae.distributions.sampling import draw
from keras_vae.engine.inputs import checked_examples, data_examples
from keras_vae.measure.texts import rates, text_measures
from keras_vae.models.codes import batches, posterior_centers
from keras_vae.models.vae import VAE
from keras_vae.objectives.terms import kl_divergence, kl_per_dimension
from keras_vae.utils.arguments import ArrayLike, NoiseSeed, Path, PositiveInt, Texts, checked
from keras_vae.utils.statistics import ACTIVE_VARIANCE, standard_error


@checked
def evaluate(
    vae: VAE,
    data: Examples | ArrayLike | Texts,
    num_importance_samples: PositiveInt = 500,
    seed: NoiseSeed = 0,
    condition: ArrayLike | None = None,
    progress_file: Path | None = None,
) -> dict:
    """Measures a VAE on a data set.

    Args:
      vae: the model.
      data: array `(count, *event_shape)` or `keras_vae.data.Examples`.
      num_importance_samples: K of the importance-weighted bound, and of the average that estimates the ELBO.
      seed: seed of the noise.
      condition: condition of each example for a conditional model; for `Examples` it is their labels.
      progress_file: keeps the bounds computed so far, from which the same call goes on when its process is killed; see
        `VAE.bounds`.

    Returns:
      Dict of plain values, means over the data in nats, with the keys
        `elbo` and `log_likelihood` (the bound of `VAE.log_prob`), each with its `_standard_error`;
        `measure`, which says what they are the logarithm of (`describe_measure`);
        `bits_per_dimension`, the same in bits for each value of x, None if they are of no probability;
        for texts the entries of `keras_vae.measure.texts.rates`, which are per character and word;
        `kl`, see `mean_kl`;
        `kl_per_dimension`, None if posterior or prior do not factorize;
        `reconstruction_error`, the squared distance summed over the values of x, or for texts the entries of
        `keras_vae.measure.text_measures`;
        `active_units`, a count of dimensions, with `active_units_per_layer`, z_1 first, for a hierarchical posterior;
        `variance_per_dimension`, the variance of the posterior centers over examples.
    """
    if condition is not None:
        vae.as_condition(condition)
    examples = checked_examples(vae, data, condition, name="condition")
    if examples.noise is not None:
        # All numbers are measured on the same draw.
        examples = examples.fixed(seed)
    centers = posterior_centers(vae, examples)
    return {
        **likelihood(vae, examples, num_importance_samples, seed, progress_file),
        "num_examples": len(examples),
        "active_units": active_units(centers),
        **active_units_per_layer(vae, centers),
        "variance_per_dimension": np.var(centers, axis=0).reshape(-1).tolist(),
        "kl": mean_kl(vae, examples, seed),
        "kl_per_dimension": mean_kl_per_dimension(vae, examples),
        **_reconstruction(vae, examples),
    }


def _reconstruction(vae, examples):
    if vae.decoder.likelihood.has_mean:
        return {"reconstruction_error": reconstruction_error(vae, examples)}
    return text_measures(vae, examples) if vae.decoder.likelihood.has_lengths else {}


@checked
def likelihood(
    vae: VAE,
    examples: Examples,
    num_importance_samples: PositiveInt,
    seed: NoiseSeed,
    progress_file: Path | None = None,
) -> dict:
    """Returns the entries of `evaluate` that need a density of the posterior; none for a `Deterministic` one."""
    if not vae.encoder.posterior.has_density:
        return {}
    elbo, bound = vae.bounds(examples, num_importance_samples, seed, progress_file=progress_file)
    return {
        "elbo": float(elbo.mean()),
        "elbo_standard_error": standard_error(elbo),
        "log_likelihood": float(bound.mean()),
        "log_likelihood_standard_error": standard_error(bound),
        "measure": describe_measure(vae, examples),
        "bits_per_dimension": bits_per_dimension(vae, examples, float(bound.mean())),
        **rates(vae, examples, float(bound.mean())),
        "num_importance_samples": num_importance_samples,
    }


@checked
def describe_measure(vae: VAE, examples: Examples) -> str:
    """Returns, in words, what the log likelihood of `examples` is the logarithm of.

    Two log likelihoods can only be compared if these words are equal.
    """
    likelihood = vae.decoder.likelihood
    if likelihood.is_density:
        if examples.levels:
            return f"density of {examples.levels}-level values with uniform dequantization, scaled to [0, 1]"
        return "density of the values as they are, without dequantization: not comparable with a probability"
    if likelihood.num_levels:
        return f"probability of values on {likelihood.num_levels} levels"
    if likelihood.has_lengths:
        return "probability of texts"
    if likelihood.event_dtype == "int32":
        return "probability of integers"
    if _is_binary(examples):
        return "probability of binary values"
    if _is_whole(examples):
        return "probability of integers"
    return "none: a Bernoulli of values between 0 and 1 is no likelihood, and not comparable"


@checked
def bits_per_dimension(vae: VAE, examples: Examples, log_likelihood: float) -> float | None:
    """Returns a log likelihood in nats as bits for each value of x, or None if it is of no probability.

        -log_likelihood / (D log 2), plus log2(levels) for dequantized values

    For texts D is their mean number of tokens, the ends among them. Numbers are only comparable for the same tokens.

    The density of dequantized values on [0, 1] bounds the probability of the levels, each of which has the width
    1/levels (Theis, van den Oord and Bethge, 2016).
    """
    likelihood, lengths = vae.decoder.likelihood, vae.lengths_of(examples)
    # The places of a text after its end are no values.
    size = math.prod(vae.event_shape) if lengths is None else float(lengths.mean())
    bits = -log_likelihood / math.log(2.0) / size
    if likelihood.is_density:
        return bits + math.log2(examples.levels) if examples.levels else None
    is_probability = likelihood.num_levels or likelihood.event_dtype == "int32" or _is_whole(examples)
    return bits if is_probability else None


def _is_whole(examples):
    return all(bool((np.mod(x, 1.0) == 0).all()) for x in examples.chunks())


def _is_binary(examples):
    return all(bool(np.isin(x, (0.0, 1.0)).all()) for x in examples.chunks())


@checked
def mean_kl(vae: VAE, data: Examples | ArrayLike | Texts, seed: NoiseSeed = 0) -> float | None:
    """Returns KL(q(z|x) || p(z)) in nats, mean over examples, or None for a posterior without a density.

    Where TFP knows no closed form it is the mean of `log q(z|x) - log p(z)` at one z for each example.

    Args:
      vae: the model.
      data: array `(count, *event_shape)` or `keras_vae.data.Examples`.
      seed: seed of z.
    """
    if not vae.encoder.posterior.has_density:
        return None
    parts = []
    for i, (x, c) in enumerate(batches(vae, data_examples(vae, data))):
        posterior = vae.encode(x, c)
        z = draw(posterior, Noise(seed, EVALUATION_STREAM + i))
        parts.append(kl_divergence(posterior, vae.prior_distribution(c), z).numpy())
    return float(np.concatenate(parts).mean(dtype=np.float64))


@checked
def mean_kl_per_dimension(vae: VAE, data: Examples | ArrayLike | Texts) -> list[float] | None:
    """Returns KL(q(z_d|x) || p(z_d)) of each value of z, mean over examples, or None if q or p do not factorize.

    A z with places is flattened, row by row.
    """
    if not vae.encoder.posterior.has_density:
        return None
    examples = data_examples(vae, data)
    try:
        parts = [
            kl_per_dimension(vae.encode(x, c), vae.prior_distribution(c)).numpy() for x, c in batches(vae, examples)
        ]
    except ValueError:
        return None
    return np.concatenate(parts).mean(axis=0, dtype=np.float64).reshape(-1).tolist()


@checked
def reconstruction_error(vae: VAE, data: Examples | ArrayLike | Texts) -> float:
    """Returns the squared distance of x from its reconstruction, summed over the values of x, mean over examples."""
    examples = data_examples(vae, data)
    pairs = ((tf.cast(x, tf.float32), vae.reconstruct(x, c)) for x, c in batches(vae, examples))
    squares = [tf.math.squared_difference(x, tf.cast(mean, tf.float32)).numpy() for x, mean in pairs]
    return float(np.concatenate(squares).reshape(len(examples), -1).sum(axis=1).mean(dtype=np.float64))


@checked
def active_units(loc: ArrayLike, threshold: float = ACTIVE_VARIANCE) -> int:
    """Counts latent dimensions whose posterior mean varies with x: Var_x(E_q[z_d]) > `threshold`.

    Burda, Grosse and Salakhutdinov (2016), section 5.2. The layers of a hierarchical z are counted together; see
    `active_units_per_layer`.

    Args:
      loc: posterior means `(count, *latent_shape)`.
      threshold: variance above which a dimension is active.
    """
    return int((np.var(loc, axis=0) > threshold).sum())


@checked
def active_units_per_layer(vae: VAE, loc: np.ndarray) -> dict[str, list[int]]:
    """Returns the active units of each layer of a hierarchical posterior, z_1 first; an empty dict for any other.

    Args:
      vae: the model.
      loc: posterior means `(count, *latent_shape)`.
    """
    latent_dims = vae.encoder.posterior.latent_dims
    if len(latent_dims) == 1:
        return {}
    layers = np.split(loc, np.cumsum(latent_dims)[:-1], axis=1)
    return {"active_units_per_layer": [active_units(layer) for layer in layers]}


@checked
def describe_rates(report: dict) -> str:
    """Returns what the log likelihood of a report of `evaluate` of texts is for each character and word, as text."""
    return (
        f"{report['nats_per_character']:.3f} nats or {report['bits_per_character']:.3f} bits a character, "
        f"perplexity {report['perplexity_per_word']:.1f} a word"
    )


@checked
def describe_reconstruction(report: dict) -> str:
    """Returns how good the reconstructions of a report of `evaluate` are, as text."""
    if "reconstruction_error" in report:
        return f"reconstruction error {report['reconstruction_error']:.2f}"
    return (
        f"reconstructions with {100 * report['token_accuracy']:.1f}% of the tokens and "
        f"{100 * report['exact_match']:.1f}% of the texts right"
    )


@checked
def describe_active_units(report: dict) -> str:
    """Returns the active units of a report of `evaluate` as text, for example "24", or "24 (19 of z_1, 5 of z_2)"."""
    layers = [f"{count} of z_{i}" for i, count in enumerate(report.get("active_units_per_layer", ()), start=1)]
    return str(report["active_units"]) + (f" ({', '.join(layers)})" if layers else "")
