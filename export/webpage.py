"""A static page that runs an exported decoder in a browser, and a server for it on this machine.

The folder that `write_site` makes needs no network: page, decoder, model card and the LiteRT.js runtime lie in it. Any
web server can give it out; `serve` is one for the machine it runs on.
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
from keras_vae.utils.atomic_files import written_whole
from keras_vae.utils.json_files import run_file

PAGE = pathlib.Path(__file__).parent / "web"
EXPORTED = ("decoder.tflite", "model_card.json")
# What a folder must hold to be taken for a site that may be replaced.
MARKS = ("index.html", "app.js", "decoder.tflite")


def write_site(export_folder, folder, litertjs=None) -> pathlib.Path:
    """Writes the page with the decoder of an export and the LiteRT.js runtime to `folder`; returns that folder.

    Args:
      export_folder: what `python -m export` wrote: it holds decoder.tflite and model_card.json.
      folder: where to write; must not exist, be empty, or hold an earlier site, which is replaced when the new one
        is whole.
      litertjs: folder of the unpacked npm package @litertjs/core, with @litertjs/wasm-utils beside it or in its own
        node_modules. None takes the pinned version from the npm registry once, and from a cache folder afterwards.

    Raises:
      ValueError: if a file is missing, `folder` holds something else, or the runtime cannot be had.
    """
    export_folder, folder = pathlib.Path(export_folder), pathlib.Path(folder).resolve()
    for name in EXPORTED:
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
            for path in [*sorted(PAGE.iterdir()), *(export_folder / name for name in EXPORTED)]:
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
    """Files of one folder, nothing else: no listings, no links that lead out of it."""

    protocol_version = "HTTP/1.1"
    # Not from the machine's own table, which may lack them: a module or wasm file of the wrong type is refused.
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
        except (OSError, ValueError, RuntimeError):  # a null byte, links in a circle
            inside = False
        if inside:
            return super().send_head()
        self.send_error(http.HTTPStatus.NOT_FOUND)
        return None

    def list_directory(self, path):
        self.send_error(http.HTTPStatus.NOT_FOUND)

    def end_headers(self):
        # A new export under the same address is seen at once.
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format, *args):
        logging.debug(format, *args)


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        # A browser may leave at any moment; anything else is a line, not a traceback.
        error = sys.exc_info()[1]
        level = logging.DEBUG if isinstance(error, ConnectionError) else logging.WARNING
        logging.log(level, "a request failed: %s: %s", type(error).__name__, error)


def make_server(folder, port: int = 0) -> http.server.ThreadingHTTPServer:
    """Returns a server of `folder` that listens on 127.0.0.1 and is not yet running.

    Args:
      folder: what to serve.
      port: where to listen; 0 takes any free one, see `server_port` of the result.

    Raises:
      ValueError: if there is no such folder with an index.html, or the port cannot be had.
    """
    folder = pathlib.Path(folder)
    if not (folder / "index.html").is_file():
        raise ValueError(f"`folder` must hold index.html, which `write_site` writes. Received: {folder}")
    handler = functools.partial(_Handler, directory=str(folder))
    try:
        return _Server(("127.0.0.1", port), handler)
    except (OSError, OverflowError) as error:
        raise ValueError(f"`port` must be a free port of this machine, or 0. Received: {port} ({error})") from error


def serve(folder, port: int = 8000) -> None:
    """Serves `folder` to this machine's browsers until Ctrl-C; arguments and errors as in `make_server`."""
    with make_server(folder, port) as server, contextlib.suppress(KeyboardInterrupt):
        logging.info("the page is at http://127.0.0.1:%d (Ctrl-C ends)", server.server_port)
        server.serve_forever()
