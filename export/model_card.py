"""The model card, which tells the writer of an app how to use the files."""

import math
import pathlib
from typing import Any

from export import vocabulary
from export.signatures import Signatures
from keras_vae.distributions.noise import Noise
from keras_vae.models.vae import VAE
from keras_vae.utils.version import __version__

# This text is enough to write the generator of the noise again in any language.
ALGORITHM = (
    "All words are unsigned 32-bit integers and all arithmetic on them wraps modulo 2^32; rotl(w, r) rotates left.",
    "Threefry-2x32 with 20 rounds: key k0 = seed, k1 = 0, k2 = k0 xor k1 xor 0x1BD11BDA; a negative seed wraps.",
    "Counter: row = number of the picture from 0, position = number of the draw within the picture from 0.",
    "Start: a = row + k0, b = position + k1. Then five groups g = 0..4 of four rounds each:",
    "a round with rotation r is a = a + b, then b = rotl(b, r) xor a;",
    "rotations are 13, 15, 26, 6 in the groups 0, 2, 4 and 17, 29, 16, 24 in the groups 1, 3;",
    "after group g: a = a + k[(g + 1) mod 3], b = b + k[(g + 2) mod 3] + g + 1.",
    "Uniforms in (0, 1): u = ((a >> 9) + 0.5) / 2^23, v = ((b >> 9) + 0.5) / 2^23.",
    "Normal: eps = sqrt(-2 ln u) cos(2 pi v). A draw that is uniform takes u alone.",
    "Latent dimension d of picture i is eps at (i, d); `temperature` multiplies eps. A z of several axes is numbered "
    "row by row, the last axis fastest.",
)
OTHER_PRIORS = (
    "That is the noise of a standard normal. This prior takes the positions of a row in the order in which it draws: "
    "first, for a mixture, one uniform a component, to pick one, then the normals or uniforms. `temperature` leaves "
    "the choice of a component; of a Laplace or logistic it multiplies the distance from the median."
)
VECTORS = ((7, 0, 0), (7, 0, 1), (7, 15, 39), (0, 0, 0), (-1, 1, 2), (2**31 - 1, 3, 5), (-(2**31), 1000, 783))


def test_vectors() -> list[dict]:
    """Returns both random words and the normal number at a few seeds, rows and positions, to test an own generator."""
    vectors = []
    for seed, row, position in VECTORS:
        words = Noise(seed).words((row + 1, position + 1))
        normal = Noise(seed).normal((row + 1, position + 1))[row, position]
        at = [int(word[row, position]) for word in words]
        vectors.append({"seed": seed, "row": row, "position": position, "words": at, "normal": float(normal)})
    return vectors


test_vectors.__test__ = False  # type: ignore[attr-defined]  # pytest would take the function for a test because of its name


def model_card(
    vae: VAE, signatures: Signatures, files: dict, left_out: dict, precision: dict, options: Any, report: dict
) -> dict:
    """Returns the card as plain values.

    Args:
      vae: the model.
      signatures: signatures of the model.
      files: file or folder -> dict with its numbers.
      left_out: file and signature -> why it is missing.
      precision: what the model was trained in, and what float32 changes.
      options: `export.exporter.Options` of the export.
      report: report.json of the run, may be empty.
    """
    likelihood = vae.decoder.likelihood
    return {
        "keras_vae": __version__,
        "event_shape": list(vae.event_shape),
        "latent_dim": vae.latent_dim,
        "latent_shape": list(vae.latent_shape),
        # With a hierarchical z the decoder sees only the lowest layer, which is this many of the first dimensions.
        "decoder_latent_dim": vae.decoder.latent_dim or vae.latent_dim,
        "condition_dim": vae.condition_dim,
        "value_range": likelihood.mean_range and list(likelihood.mean_range),
        "likelihood": type(likelihood).__name__,
        "is_factorized": likelihood.is_factorized,
        # With either a client makes texts of tokens. `Tokenizer` takes the first, and the file says how.
        "tokenizer": likelihood.tokenizer and likelihood.tokenizer.get_config(),
        "vocabulary": vocabulary.file_of(vae),
        "prior": type(vae.prior).__name__,
        "posterior": type(vae.encoder.posterior).__name__,
        "batch_size_in_tflite": options.batch_size,
        "num_samples": options.num_samples,
        "signatures": _signatures(signatures, files),
        "left_out": left_out,
        "noise": {
            "algorithm": [*ALGORITHM, *(() if vae.prior.is_standard_normal else (OTHER_PRIORS,))],
            "test_vectors": test_vectors(),
        },
        "files": files,
        "test_elbo": report.get("test_elbo"),
        "test_log_likelihood": report.get("test_log_likelihood"),
        "precision": precision,
        "unit": f"nats per {'image' if len(vae.event_shape) == 3 else 'example'}",
        "data": report.get("data"),
    }


def _signatures(signatures: Any, files: Any) -> dict:
    """Returns files, inputs and outputs of each signature; "batch" is free in the SavedModel."""
    names = files["saved_model"]["signatures"]
    described = {}
    for name, function in signatures.concrete(names, None).items():
        described[name] = {
            "files": [file for file, figures in files.items() if name in figures["signatures"] and _is_there(figures)],
            "inputs": {key: _described(spec) for key, spec in signatures.inputs(name, None).items()},
            "outputs": {key: _described(spec) for key, spec in function.structured_outputs.items()},
        }
    return described


def _is_there(figures: Any) -> bool:
    return "not_written" not in figures


def _described(spec: Any) -> dict:
    return {
        "shape": ["batch" if size is None else size for size in spec.shape.as_list()],
        "dtype": spec.dtype.name,
    }


def size_in_bytes(path: pathlib.Path) -> int:
    """Returns the size of a file, or of all files below a folder."""
    return sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())


def finite(content: Any) -> Any:
    """Returns plain values in which None stands for NaN and infinity, which JSON does not have."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    return None if isinstance(content, float) and not math.isfinite(content) else content
