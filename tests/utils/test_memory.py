"""How much memory there is: the least of what machine, process and container allow."""

import resource
import subprocess
import sys

import numpy as np
import pytest

from keras_vae import data
from keras_vae.data.sources import pictures
from keras_vae.runs import build
from keras_vae.runs.config import Config
from keras_vae.utils import memory


def test_the_peak_is_that_of_this_process_and_not_of_the_one_that_started_it():
    large = np.ones(2**27)  # 1 GiB
    assert memory.peak() > large.nbytes
    code = "from keras_vae.utils import memory; print(memory.peak())"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 2**20 < int(child.stdout) < large.nbytes


def write(folder, name, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_a_container_has_the_limits_of_its_group_and_of_those_around_it(tmp_path):
    root, groups = tmp_path / "cgroup", tmp_path / "groups"
    groups.write_text("0::/pod/box\n")
    assert memory._container(groups, root) == []
    write(root / "pod" / "box", "memory.max", "max\n")
    write(root / "pod", "memory.max", "3000\n")
    write(root, "memory.max", "5000\n")
    write(tmp_path, "memory.max", "1\n")
    assert memory._container(groups, root) == [3000, 5000]


def test_control_groups_of_the_first_version_are_read_too(tmp_path):
    root, groups = tmp_path / "cgroup", tmp_path / "groups"
    groups.write_text("9:name=systemd:/\n4:memory:/a/b:c\n3:cpuset:/\n0::/\n")
    write(root / "memory" / "a" / "b:c", "memory.limit_in_bytes", "700\n")
    write(root / "memory", "memory.limit_in_bytes", "9223372036854771712\n")
    assert memory._container(groups, root) == [700, 9223372036854771712]


def test_without_control_groups_there_is_no_limit_of_them(tmp_path):
    assert memory._container(tmp_path / "none", tmp_path) == []


def test_the_limits_of_the_process_are_those_of_ulimit(monkeypatch):
    soft = {resource.RLIMIT_AS: resource.RLIM_INFINITY, resource.RLIMIT_DATA: 2**20}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft[kind], resource.RLIM_INFINITY))
    assert memory._process() == [2**20]
    with pytest.raises(ValueError, match=r"^x must fit in memory, which is 0\.0 GiB here\. Received: 1\.0 GiB$"):
        memory.check_memory(2**30, "x")
    memory.check_memory(2**20, "x")


@pytest.mark.parametrize("least", ["_machine", "_process", "_container"])
def test_the_least_counts(monkeypatch, least):
    for name in ("_machine", "_process", "_container"):
        monkeypatch.setattr(memory, name, lambda name=name: [5, 2 if name == least else 9])
    memory.check_memory(2, "x")
    with pytest.raises(ValueError, match=r"^x must fit in memory"):
        memory.check_memory(3, "x")


def test_a_model_that_cannot_be_trained_is_refused_before_its_weights_are_made(monkeypatch):
    monkeypatch.setattr(memory, "_memory", lambda: 2**24)
    dataset = data.load("digits")
    # 64 values are centered (and whether) and go to 16 units; 16 to mean and scale of z are too much.
    made = (64 + 1) + (64 + 1) * 16 + 16 * 2 * 100_000
    with pytest.raises(ValueError, match=rf"^a model of {made:,} or more weights, .* Received: 0\.0 GiB$"):
        build.build_model(Config(hidden_units=(16,), latent_dim=100_000), dataset)
    vae = build.build_model(Config(hidden_units=(16,), latent_dim=3), dataset)
    assert vae.count_params() < 2**20


def test_a_picture_is_not_damaged_because_memory_is_full():
    def full(_):
        raise MemoryError

    with pytest.raises(MemoryError):
        pictures.for_each(full, [0, 1])
