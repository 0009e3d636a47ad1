"""A finished run as a folder for the Hugging Face Hub: `keras-vae hub RUN_DIR FOLDER`.

FOLDER gets a model card (README.md) made of the run's report, the model, its settings and its figures. This needs no
network; `huggingface-cli upload OWNER/NAME FOLDER` then uploads the folder.
"""

import html
import json
import os
import pathlib
import re
import shutil

from keras_vae.measure import evaluation
from keras_vae.models.vae import VAE
from keras_vae.runs.run_dir import RunDir
from keras_vae.utils.arguments import Path, checked
from keras_vae.utils.atomic_files import written_whole
from keras_vae.utils.json_files import read_json, run_file, write_json

FILES = ("model.keras", "config.json", "report.json")
FIGURES = ("samples.png", "reconstructions.png")
_IMAGE_TASK = "unconditional-image-generation"


@checked
def save_pretrained(run_dir: Path, folder: Path, license: str | None = None) -> pathlib.Path:
    """Writes the folder of a finished run; returns its path.

    Args:
      run_dir: a run directory of `train.py` or `keras_vae.runs.training.run` that has ended.
      folder: folder to write, which must not exist or must be empty.
      license: license of the model in the Hub's spelling, for example "mit"; None leaves it out of the card.

    Raises:
      ValueError: if the run has not ended or cannot be read, or the folder is not empty.
    """
    run_dir, folder = pathlib.Path(run_dir), pathlib.Path(folder)
    missing = [name for name in FILES if not os.path.lexists(run_dir / name)]
    if missing:
        raise ValueError(f"`run_dir` must be a run that has ended. Received: {run_dir} without {', '.join(missing)}")
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"`folder` must not exist, or be empty. Received: {folder}")
    if not folder.absolute().parent.is_dir():
        raise ValueError(f"`folder` must lie in a folder that exists. Received: {folder}")
    figures = [name for name in FIGURES if os.path.lexists(run_dir / "figures" / name)]
    model, _, _, *drawn = (run_file(run_dir, name) for name in (*FILES, *(f"figures/{name}" for name in figures)))
    vae, settings = RunDir(run_dir).model(), RunDir(run_dir).config.to_dict()
    try:
        settings, report = _without_paths(settings, read_json(run_dir / "report.json"))
        text = card(vae, report, settings, figures, license, folder.name)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{run_dir / 'report.json'} is damaged: {error}") from error
    with written_whole(folder) as work:
        for path in (model, *drawn):
            shutil.copy(path, work)
        write_json(work / "config.json", settings)
        write_json(work / "report.json", report)
        (work / "README.md").write_text(text, encoding="utf-8")
    return folder


def _without_paths(settings, report):
    """Returns settings and report without paths of this machine; only the last part of the data's path is kept."""
    settings, data = {**settings, "data_dir": "", "cache_dir": "", "run_dir": ""}, report["data"]
    what, in_path, _ = data["source"].partition(" in ")  # `Splits.source` has these words if data come from a path
    if in_path:
        name = pathlib.Path(os.path.abspath(os.path.expanduser(settings["dataset"]))).name or "data"
        settings["dataset"] = f"./{name}"
        data = {**data, "name": name, "source": f"{what} in {name}"}
    return settings, {**report, "data": data}


@checked
def from_pretrained(folder: Path) -> VAE:
    """Loads the model of a folder of `save_pretrained`, checked as `keras_vae.runs.run_dir.RunDir.model` does.

    Raises:
      ValueError: if there is none, or it is damaged.
    """
    return RunDir(folder).model(links=True)


def _escaped(value):
    """Returns a JSON value with all its texts escaped, so that Markdown and HTML show them as they are.

    The report may have been made by somebody else, and must not bring links or scripts into the card.
    """
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return list(map(_escaped, value))
    if not isinstance(value, str):
        return value
    return re.sub(r"([\\`*_\[\]|~!#$])", r"\\\1", html.escape(" ".join(value.split()), quote=False))


def card(vae: VAE, report: dict, settings: dict, figures: list[str], license: str | None, name: str) -> str:
    """Returns the model card: YAML as the Hub reads it, then Markdown."""
    result = _result(report, report["data"])
    # YAML reads JSON, so that values written as JSON need no further quoting.
    metadata = {
        "library_name": "keras",
        **({"license": license} if license else {}),
        "tags": ["variational-autoencoder", "keras", "tensorflow-probability", "keras_vae"],
        **({"pipeline_tag": _IMAGE_TASK} if _is_of_images(report["data"]) else {}),
        "model-index": [{"name": name, "results": [result]}],
    }
    header = "\n".join(f"{key}: {json.dumps(value)}" for key, value in metadata.items())
    report = _escaped(report)
    data, versions = report["data"], ", ".join(f"{_escaped(key)} {value}" for key, value in report["versions"].items())
    shape, size = (" x ".join(map(str, each)) for each in (data["shape"], vae.latent_shape))
    parts = ", ".join(
        type(part).__name__ for part in (vae.encoder.posterior, vae.prior, vae.decoder.likelihood, vae.objective)
    )
    measures = "\n".join(f"| {label} | {value} |" for label, value in _measures(report))
    condition = "" if vae.condition_dim is None else ", condition=0"
    drawn, known, what = ("pictures", "images", f"{shape} examples")
    if not _is_of_images(data):
        drawn, known, what = ("examples", "examples", f"examples of shape ({shape})")
    left_out = f"; {data['test_left_out']:,} more were left out of it" if data.get("test_left_out") else ""
    pictures = "\n\n".join(f"![{pathlib.Path(name).stem}]({name})" for name in figures)
    return f"""---
{header}
---

# {_escaped(name)}

A variational autoencoder of {what}, trained with keras_vae on {data["name"]}: p(x|z) p(z) with z of
{size} dimensions and {report["parameters"]:,} parameters. Posterior, prior, likelihood, objective: {parts}.

```python
from keras_vae import hub

vae = hub.from_pretrained({json.dumps(name, ensure_ascii=False)})
x = vae.sample(16, seed=7{condition})  # the same {drawn} from the same seed, in an exported decoder too
nats = vae.log_prob({known}, num_samples=500)
```

{pictures}

## Measured on the test set

| measure | value |
|---|---|
{measures}

Nats are of the {report.get("test_measure", "values as they are")}; only equals can be compared. Binarization:
{data["binarization"]}; dequantization: {data["dequantization"]}; {data["train"]:,} examples for training,
{data["validation"]:,} for validation, {data["test"]:,} for the test{left_out}.

## Use and limits

For drawing examples like those of the data set, for codes of them, and for how likely one is. Samples carry what the
data set carries, its gaps and its bias too; a high likelihood is no proof that an example is real.

## How it was made

`config.json` has all settings ({settings["epochs"]} epochs, batch {settings["batch_size"]}, seed {report["seed"]}),
`report.json` all figures. Versions: {versions}.
"""


_OTHERS = {
    "test_reconstruction_error": "squared reconstruction error",
    "test_token_accuracy": "share of tokens reconstructed",
    "test_exact_match": "share of texts reconstructed",
    "test_bits_per_character": "bits a character",
    "test_perplexity_per_word": "perplexity a word",
    "test_log_likelihood_without_z": "log likelihood of the same model without z, nats",
}


def _is_of_images(data):
    return len(data["shape"]) == 3


def _measures(report):
    rows = []
    if "test_elbo" in report:
        samples = report["num_importance_samples"]
        likelihood = f"log likelihood, nats (S = {samples})"
        for label, key in (("ELBO, nats", "test_elbo"), (likelihood, "test_log_likelihood")):
            rows.append((label, f"{report[key]:.2f} ± {report[f'{key}_standard_error']:.2f}"))
        if report["test_bits_per_dimension"] is not None:
            rows.append(("bits/dim", f"{report['test_bits_per_dimension']:.4f}"))
    rows.append(("active units", evaluation.describe_active_units(report)))
    rows += [(label, f"{report[key]:.2f}") for key, label in _OTHERS.items() if key in report]
    return rows


def _result(report, data):
    names = {"test_elbo": "ELBO (nats)", "test_log_likelihood": "log likelihood (nats)"}
    values = {key: label for key, label in names.items() if key in report}
    values |= {key: label for key, label in _OTHERS.items() if key in report}
    return {
        "task": {"type": _IMAGE_TASK if _is_of_images(data) else "other"},
        "dataset": {"name": data["name"], "type": data["name"]},
        "metrics": [{"type": key, "name": label, "value": report[key]} for key, label in values.items()],
    }
