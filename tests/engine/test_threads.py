"""A model that several threads use at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import pytest
from helpers import make_binary, make_vae, slow_from

X = make_binary(60)


def test_evaluations_in_threads_are_those_of_one_after_the_other():
    vae = make_vae()
    parts = [X[i : i + 20] for i in range(0, 40, 5)]
    expected = [vae.evaluate(part, batch_size=7, verbose=0) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda part: vae.evaluate(part, batch_size=7, verbose=0), parts)) == expected
        tested = list(pool.map(lambda part: vae.test_on_batch(part), parts))
    assert tested == [vae.test_on_batch(part) for part in parts]


class Elsewhere(keras.callbacks.Callback):
    """Asks from another thread, and waits for it, which would wait for the end of the training."""

    def __init__(self, name):
        super().__init__()
        self.name, self.error = name, None

    def on_epoch_end(self, epoch, logs=None):
        thread = threading.Thread(target=self.ask)
        thread.start()
        thread.join()

    def ask(self):
        try:
            getattr(self.model, self.name)(X[:10])
        except RuntimeError as error:
            self.error = str(error)


@pytest.mark.parametrize("name", slow_from(1, ["fit", "evaluate", "train_on_batch", "test_on_batch"]))
def test_another_thread_is_told_that_the_model_is_in_training(name):
    elsewhere = Elsewhere(name)
    vae = make_vae()
    vae.fit(X, batch_size=60, verbose=0, callbacks=[elsewhere])
    assert f"`{name}` must not be called while another thread is in `fit`" in elsewhere.error
    assert int(vae.train_steps) == 1


def test_a_callback_may_evaluate_in_the_thread_of_the_training():
    seen = []
    evaluate = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append((logs["val_loss"], vae.evaluate(X[:20], verbose=0)[0]))
    )
    vae = make_vae()
    vae.fit(X, batch_size=20, epochs=2, verbose=0, callbacks=[evaluate], validation_data=X[:20])
    assert all(validation == evaluated for validation, evaluated in seen)
    assert not vae.turn.training
