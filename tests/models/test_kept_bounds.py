"""An evaluation that was killed goes on from its file, to the numbers of one that was not."""

import numpy as np
import pytest
from helpers import make_binary, make_conditional, make_vae

from keras_vae.models import kept_bounds

X = make_binary(250)  # three batches
Y = np.arange(250) % 3


class Killed(BaseException):
    """Stands for a kill of the process."""


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(kept_bounds, "SECONDS", 0.0)


def computed(vae, monkeypatch, most=99):
    """Returns the list that the numbers of the batches go to when they are computed; after `most` of them is a kill."""
    seen, make = [], vae._importance._function

    def function(num_decodes):
        compute = make(num_decodes)

        def counted(x, condition, seed, number, *rest):
            if len(seen) == most:
                raise Killed
            seen.append(int(number))
            return compute(x, condition, seed, number, *rest)

        return counted

    monkeypatch.setattr(vae._importance, "_function", function)
    return seen


@pytest.mark.parametrize(("make", "condition"), [(make_vae, None), (make_conditional, Y)])
def test_a_killed_call_goes_on_to_the_same_numbers(make, condition, monkeypatch, tmp_path):
    vae, path = make(), tmp_path / "bounds.npz"
    expected = vae.bounds(X, 3, 7, condition)
    with monkeypatch.context() as patch:
        assert computed(vae, patch, most=2) == []
        with pytest.raises(Killed):
            vae.bounds(X, 3, 7, condition, progress_file=path)
    with monkeypatch.context() as patch:
        seen = computed(vae, patch)
        found = vae.bounds(X, 3, 7, condition, progress_file=str(path))
        assert seen == [2]
        again = vae.bounds(X, 3, 7, condition, progress_file=path)
        assert seen == [2]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(again, expected)


def test_another_call_begins_anew(monkeypatch, tmp_path):
    vae, path = make_vae(), tmp_path / "bounds.npz"
    other = make_vae()
    other.decoder.weights[0].assign_add([[0.1]])
    calls = [(vae, X, 3, 7), (vae, X, 4, 7), (vae, X, 3, 8), (vae, 1 - X, 3, 7), (other, X, 3, 7)]
    for model, *call in calls:
        with monkeypatch.context() as patch:
            seen = computed(model, patch)
            found = model.bounds(*call, progress_file=path)
            assert seen == [0, 1, 2]
        np.testing.assert_array_equal(found, model.bounds(*call))


def test_another_condition_or_configuration_begins_anew(monkeypatch, tmp_path):
    # Both have the weights of the call before.
    vae, path = make_conditional(), tmp_path / "bounds.npz"
    vae.bounds(X, 3, 7, Y, progress_file=path)
    other = make_conditional()
    other.set_weights(vae.get_weights())
    monkeypatch.setattr(other.decoder, "get_config", lambda: {"other": True})
    for model, condition in ((vae, 2 - Y), (other, 2 - Y)):
        with monkeypatch.context() as patch:
            seen = computed(model, patch)
            model.bounds(X, 3, 7, condition, progress_file=path)
            assert seen == [0, 1, 2]


def test_it_is_written_once_a_minute_and_at_the_end(monkeypatch, tmp_path):
    vae, path = make_vae(), tmp_path / "bounds.npz"
    monkeypatch.setattr(kept_bounds, "SECONDS", 60.0)
    with monkeypatch.context() as patch:
        computed(vae, patch, most=2)
        with pytest.raises(Killed):
            vae.bounds(X, 3, 7, progress_file=path)
    assert not path.exists()
    vae.bounds(X, 3, 7, progress_file=path)
    assert path.exists()


def test_another_file_stays_as_it_is(tmp_path):
    vae = make_vae()
    np.savez(tmp_path / "own.npz", weights=X)
    (tmp_path / "own.txt").write_text("precious")
    np.save(tmp_path / "own.npy", X)
    (tmp_path / "empty.npz").touch()
    for name in ("own.npz", "own.txt", "own.npy", "empty.npz"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(ValueError, match=f"`progress_file` must be the file of an evaluation.*Received: .*{name}"):
            vae.bounds(X, 3, progress_file=tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
    with pytest.raises(ValueError, match=r"`progress_file` must lie in a folder that exists\. Received: .*missing"):
        vae.bounds(X, 3, progress_file=tmp_path / "missing" / "bounds.npz")
