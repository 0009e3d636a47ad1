"""The model card: what an app must know to use the files."""

import pathlib

from keras_vae import __version__
from keras_vae.vae import VAE

NOISE = (
    "Threefry-2x32 with 20 rounds on uint32. key = (seed, 0); for picture i and latent dimension d counter = (i, d). "
    "With the two output words a, b: u = ((a >> 9) + 0.5) / 2^23, v = ((b >> 9) + 0.5) / 2^23, "
    "eps = sqrt(-2 ln u) cos(2 pi v). `temperature` multiplies eps. "
    "The same seed draws the same pictures in every runtime."
)


def model_card(vae: VAE, files: dict, num_samples: int, decode_batch: int, report: dict) -> dict:
    """Returns the card as plain values.

    Args:
      vae: the model.
      files: file or folder -> dict with its parity figures.
      num_samples: pictures in one call of `sample`.
      decode_batch: static batch size of the TFLite signature `decode`.
      report: report.json of the run, may be empty.
    """
    likelihood = vae.decoder.likelihood
    picture, codes = list(vae.event_shape), [vae.latent_dim]
    return {
        "keras_vae": __version__,
        "event_shape": picture,
        "latent_dim": vae.latent_dim,
        "value_range": likelihood.mean_range and list(likelihood.mean_range),
        "likelihood": type(likelihood).__name__,
        "prior": type(vae.prior).__name__,
        "posterior": type(vae.encoder.posterior).__name__,
        "signatures": {
            "encode": {
                "files": ["saved_model"],
                "inputs": {"x": ["batch", *picture]},
                "outputs": {"loc": ["batch", *codes], "scale": ["batch", *codes]},
            },
            "decode": {
                "files": ["saved_model", "decoder.tflite"],
                "inputs": {"z": ["batch", *codes]},
                "outputs": {"mean": ["batch", *picture]},
                "batch_in_tflite": decode_batch,
            },
            "reconstruct": {
                "files": ["saved_model"],
                "inputs": {"x": ["batch", *picture]},
                "outputs": {"mean": ["batch", *picture]},
            },
            "sample": {
                "files": ["saved_model", "decoder.tflite"],
                "inputs": {"seed": "int32 scalar", "temperature": "float32 scalar, 1.0 is the prior"},
                "outputs": {"mean": [num_samples, *picture], "z": [num_samples, *codes]},
            },
        },
        "noise": NOISE,
        "files": files,
        "test_elbo": report.get("test_elbo"),
        "test_log_likelihood": report.get("test_log_likelihood"),
        "unit": "nats per image",
        "data": report.get("data"),
    }


def size_in_bytes(path: pathlib.Path) -> int:
    """Returns the size of a file, or of all files below a folder."""
    return sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())
