"""The page of each exported model, served to headless Chromium."""

import contextlib
import json
import pathlib
import threading
from typing import NamedTuple

import tensorflow as tf
from client_models import Exported, export_all, prepared_folder, run

from export import webpage
from keras_vae.distributions.noise import as_word, threefry2x32

DRIVER = pathlib.Path(__file__).with_name("browser.mjs")


def drive(task, url, **job):
    """Runs a task of browser.mjs and returns its result."""
    return json.loads(run(["node", DRIVER], input=json.dumps({"task": task, "url": url, **job})))


@contextlib.contextmanager
def served(folder):
    """Yields the address of a folder."""
    with webpage.make_server(folder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


class Site(NamedTuple):
    """A model and its page."""

    model: Exported
    folder: pathlib.Path
    url: str


@contextlib.contextmanager
def serve_all(folder):
    """Writes the page of every model below `folder`, serves it, and yields name -> Site."""
    package = prepared_folder() / "node_modules" / "@litertjs" / "core"
    with contextlib.ExitStack() as stack:
        sites = {}
        for name, model in export_all().items():
            site = webpage.write_site(model.folder, folder / name, package)
            sites[name] = Site(model, site, stack.enter_context(served(site)))
        yield sites


def python_words(seed, row, position):
    """Returns the words of one counter of stream 0 as integers."""
    counter = tf.constant(row, tf.uint32), tf.constant(position, tf.uint32)
    return [int(word) for word in threefry2x32((as_word(seed), as_word(0)), counter)]
