"""Several devices, and several workers in processes of their own on loopback: all train to the weights of one."""

import contextlib
import csv
import functools
import json
import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import strategy_worker
import tensorflow as tf
import yaml
from helpers import ROOT, make_binary

from keras_vae import data
from keras_vae.distributions.noise import MultiSampleNoise, Noise
from keras_vae.engine import strategies
from keras_vae.runs import checkpoints, training
from keras_vae.runs.config import Config

# The command, with a checkpoint after each epoch.
TRAIN = """
import functools, runpy, sys
from keras_vae.runs import training
training.run = functools.partial(training.run, checkpoint_seconds=0.0)
sys.argv[0] = "train.py"
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


def free_ports(count):
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def tf_config(addresses, index, kind="worker"):
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": kind, "index": index}})


@contextlib.contextmanager
def cluster(count, arguments, folder):
    """Starts workers; `{}` in an argument becomes the worker's number. None of them outlives the context."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    processes = []
    try:
        for index in range(count):
            environment = {**os.environ, "PYTHONPATH": path, "TF_CONFIG": tf_config(addresses, index)}
            with open(folder / f"log{index}", "w") as log:
                command = [sys.executable, *(argument.replace("{}", str(index)) for argument in arguments)]
                processes.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log))
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def assert_same(actual, expected):
    assert set(actual) == set(expected)
    for name in expected:
        # Sums in another order.
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-4, atol=2e-5, err_msg=name)


@functools.cache
def alone(*objectives):
    """What one device makes of it."""
    return strategy_worker.train(tf.distribute.get_strategy(), objectives)


@pytest.mark.parametrize("objectives", [("iwae", "stream"), ("elbo", "free_bits")], ids="-".join)
@pytest.mark.slow
def test_two_devices_train_to_the_weights_of_one(objectives, tmp_path):
    assert strategies.make("mirrored").num_replicas_in_sync == 2
    # In a process of its own: TensorFlow numbers the collectives of each MirroredStrategy anew, so two that train in
    # one process may get in each other's way.
    command = [sys.executable, str(ROOT / "tests/strategy_worker.py"), "mirrored", str(tmp_path / "result.npz")]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    subprocess.run([*command, *objectives], env={**os.environ, "PYTHONPATH": path}, check=True, timeout=300)
    with np.load(tmp_path / "result.npz") as result:
        assert_same(dict(result), alone(*objectives))


@pytest.mark.slow
@pytest.mark.parametrize(("count", "objectives"), [(2, ("iwae",)), (4, ("elbo", "free_bits"))])
def test_workers_train_to_the_weights_of_one(tmp_path, count, objectives):
    arguments = (str(ROOT / "tests/strategy_worker.py"), "multi_worker", "result{}.npz", *objectives)
    with cluster(count, arguments, tmp_path) as processes:
        for index, process in enumerate(processes):
            assert process.wait(timeout=240) == 0, (tmp_path / f"log{index}").read_text()
    for index in range(count):
        with np.load(tmp_path / f"result{index}.npz") as result:
            assert_same(dict(result), alone(*objectives))


def rows(path):
    with open(path, newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_a_killed_worker_or_chief_stops_all_and_they_go_on_to_the_same_end(tmp_path):
    np.save(tmp_path / "data.npy", make_binary(300))
    settings = dict(dataset=str(tmp_path / "data.npy"), latent_dim=2, epochs=40, batch_size=40, warmup_steps=3)
    settings |= dict(num_importance_samples=3, hidden_units=(8,), run_dir=str(tmp_path / "run"), export=False)
    flags = [f"--{key}={value}" for key, value in settings.items() if key not in ("hidden_units", "export")]
    arguments = ["-c", TRAIN, str(ROOT / "train.py"), *flags, "--hidden_units=8", "--noexport"]
    arguments.append("--strategy=multi_worker")
    lines = []
    for killed, least in ((1, 2), (0, 12)):
        with cluster(2, arguments, tmp_path) as processes:
            deadline = time.monotonic() + 200
            while max(checkpoints.epochs_saved(tmp_path / "run/checkpoints"), default=0) < least:
                assert time.monotonic() < deadline, (tmp_path / "log0").read_text()
                time.sleep(0.01)
            processes[killed].kill()
            assert processes[1 - killed].wait(timeout=60) not in (0, None)
        assert not (tmp_path / "run/report.json").exists()
        lines.append((tmp_path / "log0").read_text().splitlines())
    # The chief whose worker was killed says in one line how to go on.
    assert len([line for line in lines[0] if line.startswith("error: ") and "goes on from the last" in line]) == 1
    with cluster(2, arguments, tmp_path) as processes:
        for index, process in enumerate(processes):
            assert process.wait(timeout=240) == 0, (tmp_path / f"log{index}").read_text()
    assert "going on with" in (tmp_path / "log0").read_text()
    whole = training.run(Config(**{**settings, "run_dir": str(tmp_path / "whole")}))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(path.name for path in whole.iterdir())
    actual, expected = rows(tmp_path / "run/metrics.csv"), rows(whole / "metrics.csv")
    assert len(actual) == len(expected) == 40
    for a, b in zip(actual, expected, strict=True):
        assert a == pytest.approx(b, rel=1e-3)  # forty epochs of sums in another order
    reports = [json.loads((folder / "report.json").read_text()) for folder in (tmp_path / "run", whole)]
    assert reports[0]["test_log_likelihood"] == pytest.approx(reports[1]["test_log_likelihood"], rel=1e-3)


# What each worker reads and draws.


@pytest.mark.parametrize("noise", [None, "bernoulli"])
def test_the_rows_of_workers_make_up_the_batch(noise):
    images = data.Examples(make_binary(50) * 0.5 + 0.2, labels=np.arange(50), weights=np.arange(50) + 1.0, noise=noise)
    whole = list(images.batches(18, seed=3).take(6).as_numpy_iterator())
    parts = [
        list(images.batches(18, seed=3, rows=range(start, start + 5)).take(6).as_numpy_iterator())
        for start in range(0, 20, 5)
    ]
    for step, expected in enumerate(whole):
        together = [np.concatenate(arrays) for arrays in zip(*(part[step] for part in parts), strict=True)]
        for actual, array in zip(together, expected, strict=True):
            np.testing.assert_array_equal(actual[:18], array)
        assert (parts[3][step][2][3:] == 0).all()  # rows 18 and 19 do not count


@pytest.mark.parametrize("make", [lambda noise: noise, MultiSampleNoise], ids=["rows", "samples"])
def test_the_noise_of_replicas_makes_up_that_of_the_batch(make):
    axis = 0 if make(Noise(0)).__class__ is Noise else 1
    shape = [4, 6, 3]

    def draw(part):
        noise, size = make(Noise(7, 2, part)), list(shape)
        size[axis] //= part[1]
        return [noise.normal(size), noise.uniform(size)]

    for whole, *parts in zip(draw((0, 1)), draw((tf.constant(0), 2)), draw((tf.constant(1), 2)), strict=True):
        # Normals are computed in vectors, whose ends depend on the shape.
        np.testing.assert_allclose(np.concatenate(parts, axis), whole, rtol=1e-5, atol=1e-6)


# Where the cluster is.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{worker", "`TF_CONFIG` must be JSON like"),
        ("[]", "`TF_CONFIG` must be JSON like"),
        ('{"task": {"type": "worker", "index": 0}}', "`TF_CONFIG` must be JSON like"),
        (tf_config(["localhost"], 0), "`TF_CONFIG` must be JSON like"),
        (tf_config(["localhost:0"], 0), "`TF_CONFIG` must be JSON like"),
        (tf_config(["a:1", "b:1"], 2), "which has 2 of type worker. Received: type 'worker', index 2"),
        (tf_config(["a:1", "b:1"], -1), "Received: type 'worker', index -1"),
        (tf_config(["a:1"], 0, "evaluator"), "Received: type 'evaluator', index 0"),
        ("", "needs TF_CONFIG in the environment, or a Slurm step"),
    ],
)
def test_a_wrong_cluster_is_named(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    monkeypatch.delenv("SLURM_STEP_NODELIST", raising=False)
    with pytest.raises(ValueError, match=message):
        strategies.cluster_config()


@pytest.mark.slow
def test_an_address_in_use_is_one_line_and_exit_code_2(tmp_path):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = subprocess.run(
            [sys.executable, str(ROOT / "train.py"), "--strategy=multi_worker", "--run_dir=run"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CONFIG": tf_config([f"localhost:{port}"], 0)},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert result.returncode == 2
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert errors == [f"error: `TF_CONFIG` must give a free port. Received: localhost:{port} (Address already in use)"]
    assert not (tmp_path / "run").exists()


def test_several_workers_need_a_common_folder():
    with pytest.raises(ValueError, match="`run_dir` must be given with strategy=multi_worker"):
        Config(strategy="multi_worker")


def test_a_slurm_step_is_a_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    step = {"NODELIST": "node[1-2]", "NUM_TASKS": "3", "TASKS_PER_NODE": "2,1"}
    for name, value in {"SLURM_PROCID": "1", **{f"SLURM_STEP_{key}": value for key, value in step.items()}}.items():
        monkeypatch.setenv(name, value)
    assert strategies.cluster_config() == {
        "cluster": {"worker": ["node1:8888", "node1:8889", "node2:8888"]},
        "task": {"type": "worker", "index": 1},
    }


# The files that start a cluster.


def test_the_kubernetes_file_makes_a_cluster(monkeypatch):
    service, job = yaml.safe_load_all((ROOT / "docs/kubernetes.yaml").read_text())
    assert (service["kind"], service["spec"]["clusterIP"], job["kind"]) == ("Service", "None", "Job")
    spec = job["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert (spec["completionMode"], spec["completions"]) == ("Indexed", spec["parallelism"])
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert container["image"].rpartition(":")[2] not in ("", "latest")
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    script = container["command"][-1]
    assert f"--run_dir={container['volumeMounts'][0]['mountPath']}/" in script
    variables = {variable["name"]: variable["value"] for variable in container["env"]}
    before, _, _ = script.partition("exec ")
    for index in range(spec["completions"]):
        environment = {**os.environ, **variables, "JOB_COMPLETION_INDEX": str(index)}
        shell = subprocess.run(
            ["sh", "-euc", before + 'printf %s "$TF_CONFIG"'],
            env=environment,
            capture_output=True,
            text=True,
            timeout=20,
        )
        monkeypatch.setenv("TF_CONFIG", shell.stdout)
        config = strategies.cluster_config()
        assert config["task"] == {"type": "worker", "index": index}
        hosts = [address.split(".")[0] for address in config["cluster"]["worker"]]
        assert hosts == [f"{job['metadata']['name']}-{i}" for i in range(spec["completions"])]


def test_the_slurm_file_is_a_batch_script():
    path = ROOT / "docs/slurm.sh"
    assert subprocess.run(["bash", "-n", path], timeout=20).returncode == 0
    text = path.read_text()
    assert text.startswith("#!/bin/bash\n#SBATCH ")
    (line,) = [line for line in text.splitlines() if line.startswith("srun ")]
    assert "--kill-on-bad-exit" in line
    assert "--strategy=multi_worker" in text
    assert "--run_dir=" in text
