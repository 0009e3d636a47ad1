"""A static page that runs an exported decoder in a browser, and a server for it on this machine.

The folder that `write_site` makes needs no network, because page, model, model card and the LiteRT.js runtime are all
in it. Any web server can serve it; `serve` is a server for browsers on the same machine.
"""

import contextlib
import functools
import http.server
import os
import pathlib
import shutil
import sys

from absl import logging

from export import litertjs as runtime
from export.paths import VOCABULARY
from keras_vae.utils.atomic_files import written_whole
from keras_vae.utils.json_files import run_file

PAGE = pathlib.Path(__file__).parent / "web"
EXPORTED = ("decoder.tflite", "model_card.json")
# The page of a model of texts also reads and writes words, and encodes what a person types.
OF_TEXTS = (VOCABULARY, "encoder.tflite")
# A folder with these files is taken for an earlier site, which may be replaced.
MARKS = ("index.html", "app.js", "decoder.tflite")


def write_site(
    export_folder: str | os.PathLike, folder: str | os.PathLike, litertjs: str | os.PathLike | None = None
) -> pathlib.Path:
    """Writes the page with the decoder of an export and the LiteRT.js runtime to `folder`; returns that folder.

    Args:
      export_folder: folder that `python -m export` wrote, with decoder.tflite and model_card.json. Of a model of texts
        the page also gets vocabulary.json, and encoder.tflite if it is there.
      folder: folder to write. It must not exist, be empty, or hold an earlier site, which is replaced when the new one
        is complete.
      litertjs: folder of the unpacked npm package @litertjs/core, with @litertjs/wasm-utils beside it or in its own
        node_modules. None takes the pinned version from the npm registry once, and from a cache folder afterwards.

    Raises:
      ValueError: if a file is missing, `folder` holds anything else, or the runtime cannot be found or downloaded.
    """
    export_folder, folder = pathlib.Path(export_folder), pathlib.Path(folder).resolve()
    is_of_texts = os.path.lexists(export_folder / VOCABULARY)
    exported = [*EXPORTED, *(name for name in OF_TEXTS if is_of_texts and os.path.lexists(export_folder / name))]
    for name in exported:
        if not os.path.lexists(export_folder / name):
            raise ValueError(
                f"`export_folder` must hold {name}, which `python -m export RUN_DIR` writes. Received: {export_folder}"
            )
        run_file(export_folder, name)
    _check_folder(folder)
    files = runtime.files(litertjs)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(folder) as work:
            for path in [*sorted(PAGE.iterdir()), *(export_folder / name for name in exported)]:
                shutil.copyfile(path, work / path.name)
            for name, content in files.items():
                target = work / "litert" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
    except OSError as error:
        raise ValueError(f"`folder` cannot be written. Received: {folder} ({error.strerror})") from error
    return folder


def _check_folder(folder: pathlib.Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"`folder` must not be a file. Received: {folder}")
    found = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if found and not found.issuperset(MARKS):
        names = ", ".join(sorted(found)[:3])
        raise ValueError(f"`folder` must be new, empty, or hold an earlier site. Received: {folder} with {names}")


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the files of one folder and nothing else: no listings, and no links that lead out of it."""

    protocol_version = "HTTP/1.1"
    # The machine's own table may lack these types, and browsers refuse a module or wasm file of a wrong type.
    extensions_map = {
        "": "application/octet-stream",
        ".css": "text/css; charset=utf-8",
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".tflite": "application/octet-stream",
        ".wasm": "application/wasm",
    }

    def send_head(self):
        try:
            path = pathlib.Path(self.translate_path(self.path)).resolve()
            inside = path.is_relative_to(pathlib.Path(self.directory).resolve())
        except (OSError, ValueError, RuntimeError):  # the path has a null byte, or links in a circle
            inside = False
        if inside:
            return super().send_head()
        self.send_error(http.HTTPStatus.NOT_FOUND)
        return None

    def list_directory(self, path):
        self.send_error(http.HTTPStatus.NOT_FOUND)

    def end_headers(self):
        # Browsers must not cache the files, so that a new export under the same address is seen at once.
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format, *args):
        logging.debug(format, *args)


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        # A browser may close a connection at any time, which is no error. Other errors are logged as one line.
        error = sys.exc_info()[1]
        level = logging.DEBUG if isinstance(error, ConnectionError) else logging.WARNING
        logging.log(level, "a request failed: %s: %s", type(error).__name__, error)


def make_server(folder: str | os.PathLike, port: int = 0) -> http.server.ThreadingHTTPServer:
    """Returns a server of `folder` that listens on 127.0.0.1 and is not yet running.

    Args:
      folder: folder to serve.
      port: port to listen on; 0 takes any free one, which is `server_port` of the result.

    Raises:
      ValueError: if there is no such folder with an index.html, or the port is not free.
    """
    folder = pathlib.Path(folder)
    if not (folder / "index.html").is_file():
        raise ValueError(f"`folder` must hold index.html, which `write_site` writes. Received: {folder}")
    handler = functools.partial(_Handler, directory=str(folder))
    try:
        return _Server(("127.0.0.1", port), handler)
    except (OSError, OverflowError) as error:
        raise ValueError(f"`port` must be a free port of this machine, or 0. Received: {port} ({error})") from error


def serve(folder: str | os.PathLike, port: int = 8000) -> None:
    """Serves `folder` to this machine's browsers until Ctrl-C; the arguments and errors are those of `make_server`."""
    with make_server(folder, port) as server, contextlib.suppress(KeyboardInterrupt):
        logging.info("the page is at http://127.0.0.1:%d (Ctrl-C ends)", server.server_port)
        server.serve_forever()
