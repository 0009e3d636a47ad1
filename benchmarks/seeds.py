"""Compares the pictures of a seed in all runtimes: `python benchmarks/seeds.py RUN_DIR --clients=FOLDER`.

It draws the pictures of the seeds 0 to 99 with the exported decoders of a run in the SavedModel, LiteRT, tflite-runtime
2.14 and headless Chromium, and compares them with `vae.sample`. If pixels are drawn one after the other, it also counts
the pictures that are others, because one pixel that flips changes those after it. For a model of texts it only counts
the texts that are others. FOLDER is the folder that `tests/clients/prepare.sh` made. RUN_DIR needs an export with
--num_samples=16 of a model without condition. The result is benchmarks/results/seeds.json, seeds_autoregressive.json or
seeds_texts.json.
"""

import argparse
import functools
import itertools
import json
import os
import pathlib
import shutil
import sys
import tempfile
from typing import Any

import numpy as np

from keras_vae.runs.run_dir import RunDir

ROOT = pathlib.Path(__file__).resolve().parents[1]
SEEDS = range(100)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", type=pathlib.Path)
    parser.add_argument("--clients", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    os.environ["KERAS_VAE_CLIENTS"] = str(arguments.clients.resolve())
    sys.path += [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/clients")]
    from client_models import Exported, count_other_texts, count_others, relative_difference

    model = Exported(RunDir(arguments.run_dir).model(), arguments.run_dir / "export")
    compared, file = {"largest difference": relative_difference}, "seeds.json"
    if model.has_texts:
        compared, file = {"other texts": count_other_texts}, "seeds_texts.json"
    elif not model.vae.decoder.likelihood.is_factorized:
        compared, file = {**compared, "other pictures": count_others}, "seeds_autoregressive.json"
    results = compare_runtimes(model, compared, arguments.clients)
    (ROOT / "benchmarks/results" / file).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def compare_runtimes(model: Any, compared: dict, clients: pathlib.Path) -> dict:
    """Returns what the functions `compared` make of the samples of each file and runtime and those of Python."""
    from export import runtimes

    expected, _ = model.samples(SEEDS)
    draw = functools.partial(_drawn, model.has_texts)
    rows = {"saved_model": {"SavedModel": draw(runtimes.saved_model_runner(model.folder / "saved_model"))}}
    for path in sorted(model.folder.glob("decoder*.tflite")):
        rows[path.name] = {
            "LiteRT": draw(runtimes.litert_runner(path)),
            "tflite-runtime 2.14": _on_an_old_phone(path, clients),
            "Chromium": _in_a_browser(path, model, clients),
        }
    results = {}
    for what, compare in compared.items():
        results[f"{what} from vae.sample"] = table = {}
        for name, drawn in rows.items():
            table[name] = {runtime: float(compare(mean, expected)) for runtime, mean in drawn.items()}
            pairs = itertools.combinations(drawn.values(), 2)
            table[name]["between runtimes"] = max((float(compare(*pair)) for pair in pairs), default=0.0)
            print(what, name, {key: f"{value:.2g}" for key, value in table[name].items()})
    count = len(expected.reshape(-1, *model.vae.event_shape))
    return {"seeds": len(SEEDS), "texts" if model.has_texts else "pictures": count, **results}


def _drawn(has_texts, run):
    name, shown, more = ("generate", "tokens", {"token_temperature": 1.0}) if has_texts else ("sample", "mean", {})
    return np.stack([run(name, seed=seed, temperature=1.0, **more)[shown] for seed in SEEDS])


def _on_an_old_phone(path, clients):
    from client_models import run

    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = (pathlib.Path(folder) / name for name in ("inputs.npz", "outputs.npz"))
        from ai_edge_litert.interpreter import Interpreter

        z = Interpreter(model_path=str(path)).get_signature_runner("decode").get_input_details()["z"]["shape"]
        np.savez(inputs, seeds=np.array(SEEDS), codes=np.zeros((1, *z[1:]), np.float32))
        script = ROOT / "tests/clients/old_phone.py"
        run([clients / "old_runtime/bin/python", script, path, inputs, outputs])
        return np.load(outputs)["mean"]


def _in_a_browser(path, model, clients):
    from client_pages import drive, served

    from export import webpage

    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "export"
        source.mkdir()
        shutil.copyfile(path, source / "decoder.tflite")
        card = model.card()
        if model.has_texts:
            shutil.copyfile(model.folder / card["vocabulary"], source / card["vocabulary"])
            card["files"].pop("encoder.tflite", None)
        card["files"]["decoder.tflite"] = card["files"][path.name]
        (source / "model_card.json").write_text(json.dumps(card), encoding="utf-8")
        site = webpage.write_site(source, pathlib.Path(folder) / "web", clients / "node_modules/@litertjs/core")
        with served(site) as url:
            jobs = [{"seed": seed, "temperature": 1.0, "tokenTemperature": 1.0, "classIndex": 0} for seed in SEEDS]
            task, shown = ("texts", "tokens") if model.has_texts else ("samples", "mean")
            samples = drive("numbers", url, **{task: jobs})[task]
    return np.reshape([sample[shown] for sample in samples], (len(SEEDS), -1, *card["event_shape"]))


if __name__ == "__main__":
    main()
