"""The model card: what an app must know to use the files."""

import pathlib

from keras_vae import __version__
from keras_vae.posteriors import Flow
from keras_vae.priors import StandardNormal
from keras_vae.vae import VAE

NOISE = (
    "Threefry-2x32 with 20 rounds on uint32. key = (seed, 0); for picture i and latent dimension d counter = (i, d). "
    "With the two output words a, b: u = ((a >> 9) + 0.5) / 2^23, v = ((b >> 9) + 0.5) / 2^23, "
    "eps = sqrt(-2 ln u) cos(2 pi v). `temperature` multiplies eps. "
    "The same seed draws the same pictures in every runtime."
)


OTHER_PRIORS = (
    "This is the noise of a standard normal. Another prior takes the positions of a row in the order in which it "
    "draws: first, for a mixture, one uniform ((a >> 9) + 0.5) / 2^23 a component, to pick one, then the normals."
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
    return {
        "keras_vae": __version__,
        "event_shape": list(vae.event_shape),
        "latent_dim": vae.latent_dim,
        "condition_dim": vae.condition_dim,
        "value_range": likelihood.mean_range and list(likelihood.mean_range),
        "likelihood": type(likelihood).__name__,
        "prior": type(vae.prior).__name__,
        "posterior": type(vae.encoder.posterior).__name__,
        "signatures": _signatures(vae, num_samples, decode_batch),
        "noise": NOISE if isinstance(vae.prior, StandardNormal) else f"{NOISE} {OTHER_PRIORS}",
        "files": files,
        "test_elbo": report.get("test_elbo"),
        "test_log_likelihood": report.get("test_log_likelihood"),
        "unit": "nats per image",
        "data": report.get("data"),
    }


def _signatures(vae, num_samples, decode_batch) -> dict:
    picture, codes = ["batch", *vae.event_shape], ["batch", vae.latent_dim]
    encoded = {"loc": codes} if isinstance(vae.encoder.posterior, Flow) else {"loc": codes, "scale": codes}
    both = ["saved_model", "decoder.tflite"]
    signatures = {
        "encode": {"files": ["saved_model"], "inputs": {"x": picture}, "outputs": encoded},
        "decode": {
            "files": both,
            "inputs": {"z": codes},
            "outputs": {"mean": picture},
            "batch_in_tflite": decode_batch,
        },
        "reconstruct": {"files": ["saved_model"], "inputs": {"x": picture}, "outputs": {"mean": picture}},
        "sample": {
            "files": both,
            "inputs": {"seed": "int32 scalar", "temperature": "float32 scalar, 1.0 is the prior"},
            "outputs": {"mean": [num_samples, *vae.event_shape], "z": [num_samples, vae.latent_dim]},
        },
    }
    if vae.condition_dim is not None:
        for name, signature in signatures.items():
            signature["inputs"]["condition"] = [num_samples if name == "sample" else "batch", vae.condition_dim]
    return signatures


def size_in_bytes(path: pathlib.Path) -> int:
    """Returns the size of a file, or of all files below a folder."""
    return sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())
