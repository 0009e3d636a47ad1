"""Measures the latency of `decode` in LiteRT and in onnxruntime, in turns, with the same decoder and codes.

pip install ".[onnx]" && python benchmarks/decode_latency.py

It writes benchmarks/results/decode_latency.json. Two decoders of MNIST's shape with random weights run in float32 at
batches of 1 and 64 with 1 and 2 threads, and the files of both runtimes have a static batch. There are two measures of
one call: `call` takes a NumPy array and returns one (LiteRT: set_tensor, invoke, get_tensor; onnxruntime: run), and
`in_place` reads and writes memory that belongs to the runtime (LiteRT: invoke; onnxruntime: run_with_iobinding).
"""

import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import time

import keras
import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

import keras_vae as kv
from export import onnx_format, tflite
from export.packing import pack
from export.signatures import Signatures

PATH = pathlib.Path(__file__).resolve().parent / "results/decode_latency.json"
BATCHES, THREADS, MEASURES = (1, 64), (1, 2), ("call", "in_place")
ROUNDS, SECONDS, WARM_UP = 9, 0.15, 10
EVENT_SHAPE = (28, 28, 1)
PACKAGES = ("ai-edge-litert", "onnxruntime", "onnx", "tf2onnx", "tensorflow", "keras", "numpy")


def make(name: str) -> kv.VAE:
    """Returns a model whose decoder `name` is "dense" (40-512-512-784) or "conv"; none of its biases are zero."""
    keras.utils.set_random_seed(0)
    latent_dim, trunk = (
        (40, kv.networks.mlp([512, 512])) if name == "dense" else (32, kv.networks.conv_decoder(EVENT_SHAPE))
    )
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp([8]), kv.posteriors.DiagonalGaussian(latent_dim)),
        kv.Decoder(trunk, kv.likelihoods.Bernoulli(EVENT_SHAPE)),
    )
    random = np.random.default_rng(0)
    for weight in vae.decoder.weights:
        if len(weight.shape) == 1:
            weight.assign(0.1 * random.normal(size=weight.shape))
    return vae


def litert(content: bytes, z: np.ndarray, num_threads: int) -> dict:
    """Returns name -> function to measure for a TFLite file; `call` returns the mean."""
    interpreter = Interpreter(model_content=content, num_threads=num_threads)
    interpreter.allocate_tensors()
    source, target = (
        details[0]["index"] for details in (interpreter.get_input_details(), interpreter.get_output_details())
    )

    def call():
        interpreter.set_tensor(source, z)
        interpreter.invoke()
        return interpreter.get_tensor(target)

    return {"call": call, "in_place": interpreter.invoke}


def onnx(content: bytes, z: np.ndarray, num_threads: int) -> dict:
    """Returns name -> function to measure for an ONNX file; `call` returns the mean."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def call():
        return session.run(None, {"z": z})[0]

    binding = session.io_binding()
    binding.bind_ortvalue_input("z", onnxruntime.OrtValue.ortvalue_from_numpy(z))
    binding.bind_ortvalue_output("mean", onnxruntime.OrtValue.ortvalue_from_numpy(call()))
    return {"call": call, "in_place": lambda: session.run_with_iobinding(binding)}


def block(function) -> float:
    """Returns the median time of a call in microseconds, over `SECONDS` of calls after a warm-up."""
    for _ in range(WARM_UP):
        function()
    times, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times)


def compare(functions: dict) -> dict:
    """Measures runtime -> function in turns, each first in every other round; returns medians and their ratio."""
    names = list(functions)
    rounds = {name: [] for name in names}
    for number in range(ROUNDS):
        for name in names if number % 2 else reversed(names):
            rounds[name].append(block(functions[name]))
    medians = {f"{name}_us": round(statistics.median(times), 1) for name, times in rounds.items()}
    ratios = sorted(a / b for a, b in zip(*rounds.values(), strict=True))
    return {
        **medians,
        "ratio": round(statistics.median(ratios), 3),
        "ratio_range": [round(ratios[0], 3), round(ratios[-1], 3)],
    }


def measure(name: str) -> list[dict]:
    """Returns the rows of one decoder."""
    vae, rows = make(name), []
    for batch in BATCHES:
        z = np.random.default_rng(batch).normal(size=(batch, vae.latent_dim)).astype(np.float32)
        expected = vae.decode(z).mean().numpy()
        signatures = Signatures(vae, batch)
        contents = (
            pack(tflite.convert(signatures, ("decode",), batch)),
            onnx_format.convert(signatures, "decode", batch),
        )
        for num_threads in sorted({min(threads, os.cpu_count()) for threads in THREADS}):
            runtimes = {"litert": litert(contents[0], z, num_threads), "onnxruntime": onnx(contents[1], z, num_threads)}
            row = {"decoder": name, "batch": batch, "threads": num_threads}
            for runtime, measures in runtimes.items():
                np.testing.assert_allclose(measures["call"](), expected, atol=1e-5)
                row[f"{runtime}_differs_by"] = float(np.abs(measures["call"]() - expected).max())
            for key in MEASURES:
                row[key] = compare({runtime: measures[key] for runtime, measures in runtimes.items()})
            rows.append(row)
            print(f"{name:5} batch {batch:2} threads {num_threads}", *(f"| {key}: {row[key]}" for key in MEASURES))
    return rows


def machine() -> dict:
    """Returns the hardware, its load and the versions of the packages, on which the numbers depend."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    return {
        "processor": fields.get("model name", platform.processor()),
        "cores": os.cpu_count(),
        "vector_instructions": [flag for flag in ("avx2", "avx512f") if flag in fields.get("flags", "").split()],
        "load_average_at_start": os.getloadavg()[0],
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def main() -> None:
    """Measures both decoders and writes the report."""
    report = {"machine": machine(), "rounds": ROUNDS, "seconds_a_block": SECONDS}
    report["rows"] = [row for name in ("dense", "conv") for row in measure(name)]
    PATH.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
