"""One seed, the same pictures: `python benchmarks/seeds.py RUN_DIR --clients=FOLDER`.

Draws the pictures of the seeds 0 to 99 with the exported decoders of a run in the SavedModel, LiteRT, tflite-runtime
2.14 and headless Chromium, and compares them with `vae.sample`. Of a model whose pixels are drawn one after the other
it counts the pictures that are others, because one pixel that flips changes those after it. FOLDER is what
`tests/clients/prepare.sh` made. Needs an export with --num_samples=16 of a model without condition; writes
benchmarks/results/seeds.json, or seeds_autoregressive.json.
"""

import argparse
import itertools
import json
import os
import pathlib
import shutil
import sys
import tempfile

import numpy as np

from keras_vae.runs.run_dir import RunDir

ROOT = pathlib.Path(__file__).resolve().parents[1]
SEEDS = range(100)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", type=pathlib.Path)
    parser.add_argument("--clients", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    os.environ["KERAS_VAE_CLIENTS"] = str(arguments.clients.resolve())
    sys.path += [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/clients")]
    from client_models import Exported, count_others, relative_difference

    from export import runtimes

    model = Exported(RunDir(arguments.run_dir).model(), arguments.run_dir / "export")
    expected, _ = model.samples(SEEDS)
    rows = {"saved_model": {"SavedModel": _drawn(runtimes.saved_model_runner(model.folder / "saved_model"))}}
    for path in sorted(model.folder.glob("decoder*.tflite")):
        rows[path.name] = {
            "LiteRT": _drawn(runtimes.litert_runner(path)),
            "tflite-runtime 2.14": _on_an_old_phone(path, arguments.clients),
            "Chromium": _in_a_browser(path, model.folder, arguments.clients),
        }
    in_turn = not model.vae.decoder.likelihood.is_factorized
    compared = {"largest difference": relative_difference, **({"other pictures": count_others} if in_turn else {})}
    results = {}
    for what, compare in compared.items():
        results[f"{what} from vae.sample"] = table = {}
        for name, drawn in rows.items():
            table[name] = {runtime: float(compare(mean, expected)) for runtime, mean in drawn.items()}
            pairs = itertools.combinations(drawn.values(), 2)
            table[name]["between runtimes"] = max((float(compare(*pair)) for pair in pairs), default=0.0)
            print(what, name, {key: f"{value:.2g}" for key, value in table[name].items()})
    pictures = len(expected.reshape(-1, *model.vae.event_shape))
    text = json.dumps({"seeds": len(SEEDS), "pictures": pictures, **results}, indent=2)
    file = "seeds_autoregressive.json" if in_turn else "seeds.json"
    (ROOT / "benchmarks/results" / file).write_text(text + "\n", encoding="utf-8")


def _drawn(run):
    return np.stack([run("sample", seed=np.int32(s), temperature=np.float32(1.0))["mean"] for s in SEEDS])


def _on_an_old_phone(path, clients):
    from client_models import run

    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = (pathlib.Path(folder) / name for name in ("inputs.npz", "outputs.npz"))
        from ai_edge_litert.interpreter import Interpreter

        z = Interpreter(model_path=str(path)).get_signature_runner("decode").get_input_details()["z"]["shape"]
        np.savez(inputs, seeds=np.array(SEEDS), codes=np.zeros((1, z[-1]), np.float32))
        script = ROOT / "tests/clients/old_phone.py"
        run([clients / "old_runtime/bin/python", script, path, inputs, outputs])
        return np.load(outputs)["mean"]


def _in_a_browser(path, export_folder, clients):
    from client_pages import drive, served

    from export import webpage

    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "export"
        source.mkdir()
        shutil.copyfile(path, source / "decoder.tflite")
        card = json.loads((export_folder / "model_card.json").read_text(encoding="utf-8"))
        card["files"]["decoder.tflite"] = card["files"][path.name]
        (source / "model_card.json").write_text(json.dumps(card), encoding="utf-8")
        site = webpage.write_site(source, pathlib.Path(folder) / "web", clients / "node_modules/@litertjs/core")
        with served(site) as url:
            jobs = [{"seed": seed, "temperature": 1.0, "classIndex": 0} for seed in SEEDS]
            samples = drive("numbers", url, samples=jobs)["samples"]
    return np.reshape([sample["mean"] for sample in samples], (len(SEEDS), -1, *card["event_shape"]))


if __name__ == "__main__":
    main()
