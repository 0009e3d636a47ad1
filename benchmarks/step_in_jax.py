"""Runs the compiled training steps of keras_vae in JAX's runtime, for machines that have a GPU and no TensorFlow.

python benchmarks/step_in_jax.py write FOLDER --network=conv   (TensorFlow)
python benchmarks/step_in_jax.py run FOLDER                    (JAX alone, on the device that it finds)

`write` asks TensorFlow for the program (HLO) of a loop over training steps, with the draws of the examples, the noise,
Adam and the metrics, compiled as a whole, as it is on a GPU. It writes that, what goes in and what comes out on the
CPU. `run` compiles the program with JAX, compares what comes out, and measures images a second over such blocks of
steps, which follow on one another.
"""

import argparse
import json
import pathlib
import re
import time

import numpy as np

BATCH_SIZE, STEPS = 128, 32
# Sums are added in another order on another device, and Adam divides by their size where a gradient is nearly zero.
TOLERANCE = 1e-3


def make_model(network: str):
    """Returns a compiled model of MNIST: 784-512-512-40, or the convolutional network of `--network=conv`."""
    import keras

    import keras_vae as kv

    keras.utils.set_random_seed(0)
    shape = (28, 28, 1)
    trunks = {
        "dense": lambda: (kv.networks.mlp((512, 512)), kv.networks.mlp((512, 512))),
        "conv": lambda: (kv.networks.conv_encoder(), kv.networks.conv_decoder(shape)),
    }[network]()
    vae = kv.VAE(
        kv.Encoder(trunks[0], kv.posteriors.DiagonalGaussian(40)),
        kv.Decoder(trunks[1], kv.likelihoods.Bernoulli(shape)),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(1e-3))
    return vae


def write(folder: pathlib.Path, network: str) -> None:
    """Writes the program of a block, and its inputs and outputs."""
    import tensorflow as tf

    import keras_vae as kv
    from keras_vae.data.drawing import drawn

    vae = make_model(network)
    train = kv.data.load("mnist").train
    block = next(iter(train.blocks(BATCH_SIZE, STEPS, seed=0)))
    x, _, weight = block.batches

    def steps(values, keys, weight):
        def step(i):
            picked = type(x)(values[i], keys[i], x.noise, x.divisor, x.levels)
            vae.train_step((tf.cast(drawn(picked), tf.float32), (), weight[i]))
            return (i + 1,)

        tf.while_loop(lambda i: i < STEPS, step, (tf.constant(0),))
        return vae.get_metrics_result()

    compiled = tf.function(steps, jit_compile=True, autograph=False)
    given = (x.values, x.keys, weight)
    program = compiled.experimental_get_compiler_ir(*given)
    # The inputs are those of the function, then the variables that it uses; `alias` says where new values come out.
    captured = compiled.get_concrete_function(*given).captured_inputs
    everything = [*vae.variables, *vae.optimizer.variables, *vae.metrics_variables]
    known = {id(variable.handle): variable for variable in everything}
    variables = [known[id(handle)] for handle in captured]
    text = program(stage="hlo")
    alias = re.search(r"input_output_alias=\{(.*?) \}", text)[1]
    pairs = {int(new): int(old) for new, old in re.findall(r"\{(\d+)\}: \((\d+), \{\}", alias)}
    renewed = [variables[old - len(given)] for _, old in sorted(pairs.items())]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "program.hlo").write_bytes(program(stage="hlo_serialized"))
    inputs = [*given, *(variable.numpy() for variable in variables)]
    np.savez(folder / "inputs.npz", *map(np.asarray, inputs))
    logs = compiled(*given)
    names = [*sorted(logs), *(variable.name for variable in renewed)]
    outputs = [*(logs[name] for name in sorted(logs)), *renewed]
    np.savez(folder / "outputs.npz", *(np.asarray(value) for value in outputs))
    about = {"network": network, "batch_size": BATCH_SIZE, "steps": STEPS, "alias": pairs, "names": names}
    (folder / "about.json").write_text(json.dumps(about) + "\n")


def run(folder: pathlib.Path, blocks: int) -> dict:
    """Compiles and runs the program with JAX; returns the differences and the images a second."""
    import jax
    from jax._src.lib import xla_client

    jax.config.update("jax_enable_x64", True)  # counters have 64 bits
    about = json.loads((folder / "about.json").read_text())
    inputs, outputs = (
        [file[f"arr_{i}"] for i in range(len(file.files))]
        for file in (np.load(folder / "inputs.npz"), np.load(folder / "outputs.npz"))
    )
    device = jax.devices()[0]
    computation = xla_client.XlaComputation((folder / "program.hlo").read_bytes())
    module = xla_client._xla.mlir.xla_computation_to_mlir_module(computation)
    devices = xla_client.DeviceList((device,))
    program = device.client.compile_and_load(module, devices, xla_client.CompileOptions())

    arguments = [jax.device_put(array, device) for array in inputs]
    results = program.execute(arguments)
    found = [np.asarray(array) for array in results]
    scale = [max(1e-6, float(np.abs(array).max())) for array in outputs]
    apart = [float(np.abs(a - b).max()) / size for a, b, size in zip(found, outputs, scale, strict=True)]
    worst = int(np.argmax(apart))
    alias = {int(new): old for new, old in about["alias"].items()}

    def following(results):
        for new, old in alias.items():
            arguments[old] = results[new]
        return program.execute(arguments)

    results = following(results)
    jax.block_until_ready(results)
    began = time.perf_counter()
    for _ in range(blocks):
        results = following(results)
    jax.block_until_ready(results)
    seconds = time.perf_counter() - began
    return {
        "device": device.device_kind,
        "jax": jax.__version__,
        "network": about["network"],
        "batch_size": about["batch_size"],
        "largest difference": apart[worst],
        "where": about["names"][worst],
        "images a second": round(blocks * about["batch_size"] * about["steps"] / seconds),
    }


def main() -> None:
    """Writes a program, or runs one and prints what it has measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("write", "run"))
    parser.add_argument("folder", type=pathlib.Path, help="where the program lies")
    parser.add_argument("--network", choices=("dense", "conv"), default="dense")
    parser.add_argument("--blocks", type=int, default=10, help="blocks that are measured")
    options = parser.parse_args()
    if options.what == "write":
        write(options.folder, options.network)
        return
    results = run(options.folder, options.blocks)
    print(json.dumps(results, indent=2))
    if not results["largest difference"] <= TOLERANCE:  # it may be NaN
        raise SystemExit(
            f"error: {results['where']} differs by {results['largest difference']:.2g} of its largest value"
        )


if __name__ == "__main__":
    main()
