"""Trains models of the shipped sentences, in words, and prints tables.

    python -m benchmarks.texts cures
    python -m benchmarks.texts peer --peers_python=PYTHON_WITH_TORCH

`cures` shows what each cure of posterior collapse does to one model. `peer` trains the same architecture in PyTorch on
the same tokens for as many epochs, after ours, and compares the test ELBO and the seconds of a step.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf

import keras_vae as kv
from benchmarks.speed import machine
from keras_vae.utils.json_files import write_json

RESULTS = pathlib.Path(__file__).parent.parent / "results"
WORDS = {"tokens": "words", "max_length": 8, "max_vocabulary": 4000, "on_long_text": "drop"}
EPOCHS, SEED, LATENT_DIM = 3, 0, 16
FreeBits, Linear = kv.objectives.FreeBits, kv.schedules.Linear


class Aggressive(kv.VAE):
    """Trains the encoder alone in nine of ten of the first steps (He et al., "Lagging inference networks", 2019).

    The paper goes on with the encoder until the ELBO no longer rises, and ends this phase when the mutual information
    no longer does; both are fixed numbers here.
    """

    aggressive_steps = 268  # an epoch of the sentences has so many steps

    def train_step(self, data):
        alone = (self.train_steps < self.aggressive_steps) & (self.train_steps % 10 != 9)
        others = [v for part in (self.decoder, self.prior) for v in part.trainable_variables]
        before = [tf.identity(v.value) for v in others]
        logs = super().train_step(data)
        for variable, value in zip(others, before, strict=True):
            variable.assign(tf.where(alone, value, variable.value))
        return logs


# Each name in the table has the differences from the ELBO with a standard normal prior.
CURES = {
    "none": {},
    "word dropout 0.3": {"word_dropout": 0.3},
    "KL warm-up, 600 of 804 steps": {"kl_weight": Linear(600)},
    "half the width of the decoder": {"decoder_units": 64},
    "a decoder that sees the last 3 words": {"causal": kv.networks.CausalConv1D},
    "the encoder alone in 9 of 10 steps of the first epoch": {"model": Aggressive},
    "flow as the prior": {"prior": True},
    "free bits, 0.3 nats a dimension": {"objective": FreeBits(0.3)},
    "the same, KL warm-up, word dropout": {
        "objective": FreeBits(0.3),
        "kl_weight": Linear(600),
        "word_dropout": 0.3,
    },
    "free bits, 5 nats of z": {"objective": FreeBits(5.0, of="z")},
    "the same, flow as the prior": {"objective": FreeBits(5.0, of="z"), "prior": True},
    "the same, a decoder that sees the last 3 words": {
        "objective": FreeBits(5.0, of="z"),
        "prior": True,
        "causal": kv.networks.CausalConv1D,
    },
    "without z": {"z": False},
    "without z, a decoder that sees the last 3 words": {"z": False, "causal": kv.networks.CausalConv1D},
}


def make(
    tokenizer,
    units=128,
    embedding_dim=64,
    decoder_units=None,
    word_dropout=0.0,
    causal=kv.networks.CausalGRU,
    model=kv.VAE,
    prior=False,
    z=True,
    **options,
):
    """Returns a model; without z its decoder is a language model."""
    keras.utils.set_random_seed(SEED)
    sizes = {"embedding_dim": embedding_dim, "word_dropout": word_dropout, "seed": SEED}
    if causal is kv.networks.CausalConv1D:
        sizes["dilation_rates"] = (1,)
    network = causal(tokenizer.size, decoder_units or units, **sizes)
    likelihood = kv.likelihoods.Autoregressive(kv.likelihoods.Tokens(tokenizer=tokenizer), network)
    trunk, decoder = kv.networks.sequence_encoder(tokenizer.size, units // 2, embedding_dim), kv.networks.mlp([units])
    if not z:
        trunk, decoder = kv.networks.Zeros(), keras.Sequential([kv.networks.Zeros(), decoder])
    return model(
        kv.Encoder(trunk, kv.posteriors.DiagonalGaussian(LATENT_DIM)),
        kv.Decoder(decoder, likelihood),
        prior=kv.priors.Flow(LATENT_DIM) if prior else None,
        seed=SEED,
        **options,
    )


def fit(vae, data, epochs, batch_size=128, learning_rate=3e-3):
    """Trains a model; returns the seconds of each epoch."""
    seconds = []
    begin = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seconds.append(-time.perf_counter()),
        on_epoch_end=lambda epoch, logs: seconds.append(seconds.pop() + time.perf_counter()),
    )
    vae.compile(keras.optimizers.Adam(learning_rate))
    vae.fit(data.train, batch_size=batch_size, epochs=epochs, callbacks=[begin], verbose=0)
    return seconds


def cures() -> list[dict]:
    """Returns the measures of each cure and of the language models without z on the test set."""
    data, rows = kv.data.load_texts("sentences", **WORDS), []
    for name, options in CURES.items():
        vae = make(data.tokenizer, **options)
        seconds = fit(vae, data, EPOCHS)
        test = data.test[:1000]
        elbo, bound = vae.bounds(test, 50 if options.get("z", True) else 1)
        split = kv.measure.split_kl(vae.encode(data.test[:2000]), vae.prior_distribution())
        measured = {
            "log_likelihood": float(bound.mean()),
            "elbo": float(elbo.mean()),
            "kl": split["kl"],
            "mutual_information": split["mutual_information"],
            "active_units": kv.measure.active_units(kv.measure.posterior_centers(vae, test)),
            **kv.measure.text_measures(vae, test),
        }
        rows.append({"cure": name, **measured, "seconds": sum(seconds)})
        print(rows[-1], flush=True)
    return rows


def table(rows: list[dict]) -> str:
    """Returns the rows of `cures` as a Markdown table."""
    lines = [
        "| what is done | log likelihood, nats | ELBO | KL | mutual information | active units | tokens told |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        nats = (row["log_likelihood"], row["elbo"], row["kl"], max(row["mutual_information"], 0.0))
        numbers = " | ".join(f"{value:.2f}" for value in nats)
        lines.append(f"| {row['cure']} | {numbers} | {row['active_units']} | {100 * row['token_accuracy']:.0f}% |")
    return "\n".join(lines)


def peer(python: str, epochs: int) -> dict:
    """Returns the test ELBO and the seconds of a step, here and in PyTorch."""
    # Sizes, batch and learning rate are those of the public Sentence-VAE (github.com/timbmg/Sentence-VAE).
    sizes = {"units": 256, "embedding_dim": 300}
    batch_size, learning_rate, warmup = 32, 1e-3, 5000
    data = kv.data.load_texts("sentences", tokens="words", max_vocabulary=10_000)
    vae = make(data.tokenizer, **sizes, kl_weight=Linear(warmup))
    seconds = fit(vae, data, epochs, batch_size, learning_rate)
    test = vae.bounds(data.test, 1)[0]
    steps = epochs * -(-len(data.train) // batch_size)
    ours = {"test_elbo": float(test.mean()), "seconds": seconds, "steps": steps}
    settings = {
        **sizes,
        **{"vocabulary": data.tokenizer.size, "latent_dim": LATENT_DIM, "batch_size": batch_size, "epochs": epochs},
        **{"learning_rate": learning_rate, "kl_warmup_steps": warmup, "threads": os.cpu_count()},
    }
    with tempfile.TemporaryDirectory() as folder:
        files = [str(pathlib.Path(folder) / name) for name in ("tokens.npz", "settings.json", "result.json")]
        np.savez(files[0], train=data.train.values, test=data.test.values)
        pathlib.Path(files[1]).write_text(json.dumps(settings))
        subprocess.run([python, str(pathlib.Path(__file__).with_name("torch_vae.py")), *files], check=True)
        theirs = json.loads(pathlib.Path(files[2]).read_text())
    return {"settings": settings, "keras_vae": ours, "PyTorch": theirs}


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["cures", "peer"])
    parser.add_argument("--peers_python", default="python", help="a Python with PyTorch, for `peer`")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of `peer`")
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS, help="folder of the results")
    flags = parser.parse_args()
    flags.results.mkdir(parents=True, exist_ok=True)
    described = machine.describe()  # with the load before our own
    found = cures() if flags.what == "cures" else peer(flags.peers_python, flags.epochs)
    write_json(flags.results / f"texts_{flags.what}.json", {"machine": described, flags.what: found})
    if flags.what == "cures":
        print(table(found))
        return
    for name in ("keras_vae", "PyTorch"):
        run = found[name]
        # The fastest epoch counts, because the first one compiles.
        a_step = min(run["seconds"]) * len(run["seconds"]) / run["steps"]
        print(f"{name}: test ELBO {run['test_elbo']:.2f} nats, {1000 * a_step:.1f} ms a step")


if __name__ == "__main__":
    main()
