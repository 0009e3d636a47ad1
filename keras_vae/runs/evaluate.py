"""Measures a finished run again, in more detail: `keras-vae evaluate RUN_DIR`.

It writes RUN_DIR/evaluation with figures of the KL of each dimension, a traversal, and samples beside their nearest
training examples (of texts, the last two are texts.txt), and with evaluation.json: the test ELBO, log likelihood, the
parts of the KL, the quality of samples and, if the factors of the data are known, disentanglement scores.
"""

import os
import pathlib
from typing import Any

import numpy as np
from absl import logging

from keras_vae import plotting
from keras_vae.data import Dataset
from keras_vae.measure import evaluation, latent
from keras_vae.measure.disentanglement import disentanglement_scores
from keras_vae.measure.frechet import MIN_REAL, ClassifierFeatures, sample_quality
from keras_vae.measure.information import split_kl
from keras_vae.models.codes import posterior_centers
from keras_vae.models.vae import VAE
from keras_vae.runs import text_pages
from keras_vae.runs.config import Config
from keras_vae.runs.run_dir import RunDir
from keras_vae.utils.arguments import Path, PositiveInt, checked
from keras_vae.utils.atomic_files import written_whole
from keras_vae.utils.json_files import write_json
from keras_vae.utils.optional import scikit_learn

# The split of the KL takes this many examples, because its cost grows with their square.
NUM_SPLIT_EXAMPLES = 2000
NUM_PICTURES = 10


@checked
def evaluate_run(run_dir: Path, num_importance_samples: PositiveInt = 500, overwrite: bool = False) -> pathlib.Path:
    """Measures the model of a run directory on its test set; returns the folder `evaluation` in it.

    Raises:
      ValueError: if there is no run that can be loaded, or the folder exists and `overwrite` is False.
      ImportError: if factors are known, but scikit-learn, which their scores need, is not installed.
    """
    run = RunDir(run_dir)
    folder = run.path / "evaluation"
    if os.path.lexists(folder) and not overwrite:
        raise ValueError(f"the evaluation folder must not exist, or pass --overwrite. Received: {folder}")
    vae, config, dataset = run.model(), run.config, run.dataset()
    if dataset.factor_names:
        scikit_learn("ensemble")  # a missing scikit-learn is an error before the work begins
    with written_whole(folder) as work:
        report = measure(vae, config, dataset, num_importance_samples, run.evaluation_bounds_file)
        write_json(work / "evaluation.json", report)
        log_measures(report)
        for name, figure in draw(vae, dataset, report).items():
            figure.savefig(work / f"{name}.png", dpi=150)
        if vae.tokenizer is not None:
            page = text_pages.of_evaluation(vae, dataset, _activity(vae, report))
            (work / "texts.txt").write_text(page, encoding="utf-8")
    run.evaluation_bounds_file.unlink(missing_ok=True)
    return folder


def measure(
    vae: VAE,
    config: Config,
    dataset: Dataset,
    num_importance_samples: int,
    progress_file: pathlib.Path,
) -> dict:
    """Returns the numbers, plain values for a JSON file, in nats unless their name says otherwise.

    See `keras_vae.measure.evaluate` for `progress_file`.
    """
    report = evaluation.evaluate(vae, dataset.test, num_importance_samples, config.seed, progress_file=progress_file)
    part = dataset.test[:NUM_SPLIT_EXAMPLES]
    x, condition = part.numpy(), None if vae.condition_dim is None else part.labels
    # The split is of the KL from one p(z) for all examples.
    if vae.encoder.posterior.has_density_at_other_codes and vae.prior.condition_dim is None:
        report["kl_split"] = split_kl(vae.encode(x, condition), vae.prior_distribution(), seed=config.seed)
    if dataset.factor_names:
        report["disentanglement"] = factor_scores(vae, dataset, config.seed)
    if _has_classes(dataset):
        if len(dataset.test) < MIN_REAL:
            logging.info("no Frechet distance: it takes %d test images. There are %d", MIN_REAL, len(dataset.test))
        else:
            report["classifier_frechet"] = classifier_quality(vae, config, dataset)
    return report


def _has_classes(dataset: Any) -> bool:
    """Returns whether training and test images have class numbers, of at least two classes."""
    labels = [part.labels for part in (dataset.train, dataset.test)]
    # In some data sets the label -1 stands for no label.
    known = all(y is not None and y.ndim == 1 and y.min() >= 0 for y in labels)
    return known and labels[0].max() > 0 and len(dataset.event_shape) == 3


def classifier_quality(vae: VAE, config: Config, dataset: Dataset) -> dict:
    """Returns the quality of samples by a classifier of the training images, and its accuracy on the test images."""
    labels: list[Any] = [part.labels for part in (dataset.train, dataset.test)]
    num_classes = 1 + int(max(each.max() for each in labels))  # a rare one may be in one
    classifier = ClassifierFeatures(dataset.event_shape, num_classes, seed=config.seed).fit(dataset.train)
    count = min(len(dataset.test), 5000)
    # Binary images are compared with drawn pixels, gray ones with means.
    output = "mean" if dataset.binarization == "none" else "sample"
    samples = [
        vae.sample(len(c), config.seed + i, output=output, condition=None if vae.condition_dim is None else c)
        for i, c in enumerate(np.array_split(labels[1][:count], -(-count // 500)))
    ]
    quality = sample_quality(np.concatenate(samples), dataset.test[:count], classifier, seed=config.seed)
    return {**quality, "classifier_accuracy": classifier.accuracy(dataset.test)}


def log_measures(report: dict) -> None:
    """Logs the main numbers of a report."""
    if "elbo" in report:
        logging.info(
            "ELBO %.2f, log likelihood %.2f +- %.2f nats (%d samples): %s",
            *(report[key] for key in ("elbo", "log_likelihood", "log_likelihood_standard_error")),
            report["num_importance_samples"],
            report["measure"],
        )
    active = evaluation.describe_active_units(report)
    logging.info("active units %s, %s", active, evaluation.describe_reconstruction(report))
    if "disentanglement" in report:
        scores = report["disentanglement"]
        values = tuple(scores[key] for key in ("mig", "sap", "dci_disentanglement", "factor_vae_score"))
        logging.info("MIG %.3f, SAP %.3f, DCI disentanglement %.3f, FactorVAE score %.3f", *values)
    if "classifier_frechet" in report:
        logging.info("Frechet distance of samples %.4g", report["classifier_frechet"]["frechet_distance"])


def factor_scores(vae: VAE, dataset: Dataset, seed: int) -> dict:
    """Returns the disentanglement scores of the centers of q(z|x) against the known factors of all examples."""
    parts = (dataset.train, dataset.validation, dataset.test)
    codes = np.concatenate([posterior_centers(vae, part) for part in parts])
    factors = np.concatenate([part.factors for part in parts])
    return {
        **disentanglement_scores(codes, factors, dataset.categorical_factors, seed),
        "factors": list(dataset.factor_names),
        "num_examples": len(codes),
    }


def _activity(vae, report):
    # If there is no KL of each dimension, the dimensions that vary most are shown. Of a hierarchical z only those of
    # the layer that the decoder sees are shown.
    return np.array(report["kl_per_dimension"] or report["variance_per_dimension"][: vae.decoder.latent_dim])


def draw(vae: VAE, dataset: Dataset, report: dict) -> dict:
    """Returns the figures by name; of texts there is that of the KL alone."""
    kl = report["kl_per_dimension"]
    bars = {"kl_per_dimension": plotting.kl_bars(np.array(kl))} if kl else {}
    if vae.tokenizer is not None:
        return bars
    test = dataset.test[:NUM_PICTURES]
    condition = None if vae.condition_dim is None else test.labels
    start = posterior_centers(vae, test)[0]
    busiest = np.argsort(_activity(vae, report))[::-1][:NUM_PICTURES]
    values = np.linspace(-3.0, 3.0, 11)
    rows = [
        vae.decode(codes, None if condition is None else np.repeat(condition[:1], len(codes))).mean().numpy()
        for codes in (latent.traverse(start, np.unravel_index(d, vae.latent_shape), values) for d in busiest)
    ]
    # A conditional model draws one sample for the class of each test example, of which there may be fewer.
    samples = vae.sample(NUM_PICTURES if condition is None else len(test), seed=0, condition=condition).numpy()
    index, _ = latent.nearest_neighbors(samples, dataset.train, min(4, len(dataset.train)))
    neighbors = dataset.train.reader()(index.reshape(-1)).reshape(*index.shape, *dataset.event_shape)
    return {
        "traversal": plotting.traversal_grid(np.stack(rows), values, busiest),
        "neighbors": plotting.neighbors(samples, neighbors),
        **bars,
    }
