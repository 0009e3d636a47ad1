"""LiteRT.js, the runtime of TensorFlow Lite files in browsers, from an unpacked npm package or the npm registry.

Its packages are licensed under Apache-2.0, as their package.json says, which is copied with them.
"""

import base64
import hashlib
import http.client
import io
import json
import os
import pathlib
import tarfile
import tempfile
import urllib.request
from typing import NamedTuple

from absl import logging

REGISTRY = "https://registry.npmjs.org"
TIMEOUT = 60  # seconds that the registry may take for an answer


class Package(NamedTuple):
    """An npm package: its version, the registry's sha512 of its tarball, and the files the page needs."""

    name: str
    version: str
    integrity: str
    files: tuple[str, ...]

    @property
    def short_name(self) -> str:
        """The name without the scope: @litertjs/core -> core."""
        return self.name.split("/")[-1]

    @property
    def tarball(self) -> str:
        """The name of the tarball in the registry and in the cache."""
        return f"{self.short_name}-{self.version}.tgz"


CORE = Package(
    "@litertjs/core",
    "2.5.3",
    "sha512-PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
    (
        "package.json",
        "dist/index.js",
        "wasm/litert_wasm_internal.js",
        "wasm/litert_wasm_internal.wasm",
        # Browsers without relaxed SIMD load this file instead of the one above.
        "wasm/litert_wasm_compat_internal.js",
        "wasm/litert_wasm_compat_internal.wasm",
    ),
)
WASM_UTILS = Package(
    "@litertjs/wasm-utils",
    "2.5.3",
    "sha512-4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
    ("package.json", "dist/index.js"),
)
OFFLINE = (
    "Without network, unpack the package elsewhere (`npm install @litertjs/core@{}`) and pass its folder as `litertjs`"
)


def files(folder: str | os.PathLike | None = None) -> dict[str, bytes]:
    """Returns the files of the runtime that the page needs, under `<package>/<path in the package>`.

    Args:
      folder: folder of the unpacked package @litertjs/core, as in `export.webpage.write_site`; None takes the files
        from the cache or the registry.

    Raises:
      ValueError: if the folder is not that package, the registry cannot be reached, or a tarball is not the pinned one.
    """
    if folder is None:
        contents = {package: _unpacked(package, _tarball(package)) for package in (CORE, WASM_UTILS)}
    else:
        folder = pathlib.Path(folder)
        beside, inside = folder.parent / "wasm-utils", folder / "node_modules" / "@litertjs" / "wasm-utils"
        contents = {
            CORE: _from_folder(CORE, folder),
            WASM_UTILS: _from_folder(WASM_UTILS, inside if inside.is_dir() else beside),
        }
    return {f"{package.short_name}/{name}": data for package, found in contents.items() for name, data in found.items()}


def _from_folder(package: Package, folder: pathlib.Path) -> dict[str, bytes]:
    expected = (
        f"`litertjs` must be the folder of the unpacked npm package {CORE.name}, with {WASM_UTILS.name} beside it"
    )
    try:
        description = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        name, version = description["name"], description["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{expected}. Received: {folder}, which has no package.json of {package.name}") from error
    if name != package.name:
        raise ValueError(f"{expected}. Received: {folder}, which is {name!r}")
    if version != package.version:
        logging.warning("%s is %s %s; the page was tested with %s", folder, name, version, package.version)
    try:
        return {path: (folder / path).read_bytes() for path in package.files}
    except OSError as error:
        raise ValueError(f"{expected}. Received: {folder} without {error.filename}; install it again") from error


def _cache_folder() -> pathlib.Path:
    # An empty variable counts as an unset one (XDG base directory specification).
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "keras_vae" / "litertjs"


def _tarball(package: Package) -> bytes:
    cached = _cache_folder() / package.tarball
    content = cached.read_bytes() if cached.is_file() else b""
    if _integrity(content) == package.integrity:
        return content
    url = f"{REGISTRY}/{package.name}/-/{package.tarball}"
    logging.info("fetching %s", url)
    try:
        content = _fetch(url)
    except (OSError, http.client.HTTPException) as error:
        raise ValueError(
            f"the browser runtime {package.name} {package.version} could not be fetched from {url}: "
            f"{getattr(error, 'reason', error)}. {OFFLINE.format(CORE.version)}"
        ) from error
    if _integrity(content) != package.integrity:
        raise ValueError(
            f"{url} must have the integrity {package.integrity}. Received: {_integrity(content)}, so something between "
            f"here and the registry changed it. {OFFLINE.format(CORE.version)}"
        )
    _keep(cached, content)
    return content


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
        return response.read()


def _integrity(content: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode("ascii")


def _keep(path: pathlib.Path, content: bytes) -> None:
    # If the cache cannot be written, the next call has to download again, but this one has its result.
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content)
        pathlib.Path(file.name).replace(path)
    except OSError as error:
        logging.warning("%s cannot be kept for next time: %s", path, error)


def _unpacked(package: Package, tarball: bytes) -> dict[str, bytes]:
    """Returns the needed files of a package.

    The names come from this file and not from the tarball, so that a tarball cannot have files written elsewhere.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(tarball), mode="r:gz") as archive:
            members = {name: archive.getmember(f"package/{name}") for name in package.files}
            for name, member in members.items():
                if not member.isreg():
                    raise ValueError(f"{package.tarball} must hold {name} as a file. Received: a link or folder")
            return {name: archive.extractfile(member).read() for name, member in members.items()}  # type: ignore[union-attr]
    except (KeyError, tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(f"{package.tarball} must hold {', '.join(package.files)}. Received: {error}") from error
