"""The page's folder is whole and needs no network, its runtime is the pinned one, and the server serves one folder."""

import contextlib
import hashlib
import http.client
import io
import json
import logging
import os
import re
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import urllib.error

import pytest
from helpers import ROOT

from export import litertjs, webpage
from keras_vae.utils import atomic_files

PACKAGES = (litertjs.CORE, litertjs.WASM_UTILS)
SCRIPTS = ("app", "events", "loading", "model", "noise", "notes", "picture", "pictures", "texts", "vocabulary")
PAGE_FILES = {"index.html", "style.css", "texts.css", *(f"{name}.js" for name in SCRIPTS)}


@pytest.fixture
def exported(tmp_path):
    """An export folder; the page takes the files as they are."""
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "decoder.tflite").write_bytes(b"\x1c\0\0\0TFL3")
    (folder / "model_card.json").write_text("{}")
    (folder / "saved_model").mkdir()
    return folder


def content_of(package, name):
    if name == "package.json":
        return json.dumps({"name": package.name, "version": package.version}).encode()
    return f"{package.name}/{name}".encode()


@pytest.fixture
def unpacked(tmp_path):
    """The folder of @litertjs/core as npm unpacks it, with @litertjs/wasm-utils beside it."""
    for package in PACKAGES:
        for name in package.files:
            path = tmp_path / "node_modules" / package.name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content_of(package, name))
    return tmp_path / "node_modules" / litertjs.CORE.name


def tarball(members):
    """Returns a gzipped tar of name -> bytes, or a TarInfo for something that is no plain file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def members_of(package, **changes):
    return {f"package/{name}": content_of(package, name) for name in package.files} | changes


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """A registry of our own: its tarballs by URL, and the URLs that were asked for. The pinned hashes are theirs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tarballs, asked = {}, []

    def put(package, content):
        tarballs[f"https://registry.npmjs.org/{package.name}/-/{package.tarball}"] = content
        pinned = package._replace(integrity=litertjs._integrity(content))
        monkeypatch.setattr(litertjs, package.short_name.upper().replace("-", "_"), pinned)

    def fetch(url):
        asked.append(url)
        if isinstance(tarballs[url], Exception):
            raise tarballs[url]
        return tarballs[url]

    monkeypatch.setattr(litertjs, "_fetch", fetch)
    for package in PACKAGES:
        put(package, tarball(members_of(package)))
    fetch.put, fetch.tarballs, fetch.asked = put, tarballs, asked
    return fetch


def files_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


RUNTIME_FILES = {f"litert/{package.short_name}/{name}" for package in PACKAGES for name in package.files}


# What is written.


def test_the_site_holds_what_the_page_needs_and_nothing_else(exported, unpacked, tmp_path):
    folder = webpage.write_site(exported, tmp_path / "site", unpacked)
    assert folder == tmp_path / "site"
    assert files_below(folder) == PAGE_FILES | RUNTIME_FILES | {
        "decoder.tflite",
        "model_card.json",
        atomic_files.MARKER,
    }
    assert (folder / "decoder.tflite").read_bytes() == (exported / "decoder.tflite").read_bytes()
    assert (folder / "litert/core/dist/index.js").read_bytes() == b"@litertjs/core/dist/index.js"


def test_the_site_of_texts_has_the_vocabulary_and_the_encoder(exported, unpacked, tmp_path):
    (exported / "encoder.tflite").write_bytes(b"\x1c\0\0\0TFL3")
    folder = webpage.write_site(exported, tmp_path / "site", unpacked)
    assert not (folder / "encoder.tflite").exists()
    (exported / "vocabulary.json").write_text("{}")
    folder = webpage.write_site(exported, folder, unpacked)
    assert (folder / "encoder.tflite").exists()
    (exported / "encoder.tflite").unlink()
    folder = webpage.write_site(exported, folder, unpacked)
    assert (folder / "vocabulary.json").read_text() == "{}"
    assert not (folder / "encoder.tflite").exists()


def test_every_address_in_the_page_is_a_file_of_the_site(exported, unpacked, tmp_path):
    folder = webpage.write_site(exported, tmp_path / "site", unpacked)
    html = (folder / "index.html").read_text(encoding="utf-8")
    addresses = set(re.findall(r'(?:src|href)="(?!data:)([^"]+)"', html))
    addresses |= set(json.loads(re.search(r'importmap">(.*?)</script>', html, re.S)[1])["imports"].values())
    scripts = [path.read_text(encoding="utf-8") for path in folder.glob("*.js")]
    addresses |= {name for script in scripts for name in re.findall(r'from "(\./[^"]+)"', script)}
    assert len(addresses) >= 7
    assert [address for address in addresses if not (folder / address).is_file()] == []


def test_the_page_names_no_other_host():
    for path in webpage.PAGE.iterdir():
        addresses = re.findall(r"https?://[\w.:-]+", path.read_text(encoding="utf-8"))
        assert addresses == [], path.name


def test_an_earlier_site_is_replaced_whole(exported, unpacked, tmp_path):
    folder = webpage.write_site(exported, tmp_path / "site", unpacked)
    (folder / "old.txt").write_text("old")
    (exported / "decoder.tflite").write_bytes(b"\x1c\0\0\0TFL3 new")
    webpage.write_site(exported, folder, unpacked)
    assert not (folder / "old.txt").exists()
    assert (folder / "decoder.tflite").read_bytes().endswith(b"new")
    assert {path.name for path in tmp_path.iterdir()} == {"export", "node_modules", "site"}


def test_wasm_utils_may_lie_in_the_package_itself(exported, unpacked, tmp_path):
    inner = unpacked / "node_modules" / "@litertjs"
    inner.mkdir(parents=True)
    (unpacked.parent / "wasm-utils").rename(inner / "wasm-utils")
    assert files_below(webpage.write_site(exported, tmp_path / "site", unpacked)) >= RUNTIME_FILES


def test_another_version_is_taken_with_a_warning(exported, unpacked, tmp_path, caplog):
    (unpacked / "package.json").write_text('{"name": "@litertjs/core", "version": "9.0.0"}')
    webpage.write_site(exported, tmp_path / "site", unpacked)
    assert "is @litertjs/core 9.0.0; the page was tested with 2.5.3" in caplog.text


# What is refused, before anything is written.


@pytest.mark.parametrize("name", ["decoder.tflite", "model_card.json"])
def test_export_without_a_file(exported, unpacked, tmp_path, name):
    (exported / name).unlink()
    with pytest.raises(ValueError, match=rf"`export_folder` must hold {name}, which .* writes\. Received: .*export$"):
        webpage.write_site(exported, tmp_path / "site", unpacked)
    assert not (tmp_path / "site").exists()


def test_a_folder_of_other_things_is_kept(exported, unpacked, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("mine")
    with pytest.raises(ValueError, match=r"must be new, empty, or hold an earlier site\. Received: .*mine with index"):
        webpage.write_site(exported, tmp_path / "mine", unpacked)
    assert (tmp_path / "mine" / "index.html").read_text() == "mine"


def test_a_file_is_no_folder(exported, unpacked, tmp_path):
    (tmp_path / "site").write_text("")
    with pytest.raises(ValueError, match="`folder` must not be a file"):
        webpage.write_site(exported, tmp_path / "site", unpacked)


def test_a_folder_that_cannot_be_made(exported, unpacked, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"`folder` cannot be written\. Received: .*site \("):
        webpage.write_site(exported, tmp_path / "file" / "site", unpacked)


def test_runtime_folder_that_is_not_there(exported, tmp_path):
    with pytest.raises(ValueError, match=r"`litertjs` must be the folder .* Received: .*nowhere, which has no package"):
        webpage.write_site(exported, tmp_path / "site", tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["[]", "{", '{"name": "@litertjs/core"}'])
def test_runtime_folder_with_a_damaged_description(exported, unpacked, tmp_path, content):
    (unpacked / "package.json").write_text(content)
    with pytest.raises(ValueError, match=r"which has no package\.json of @litertjs/core"):
        webpage.write_site(exported, tmp_path / "site", unpacked)


def test_runtime_folder_of_another_package(exported, unpacked, tmp_path):
    with pytest.raises(ValueError, match=r"Received: .*wasm-utils, which is '@litertjs/wasm-utils'"):
        webpage.write_site(exported, tmp_path / "site", unpacked.parent / "wasm-utils")


def test_runtime_folder_without_a_file(exported, unpacked, tmp_path):
    (unpacked / "wasm" / "litert_wasm_internal.wasm").unlink()
    with pytest.raises(ValueError, match=r"Received: .*core without .*litert_wasm_internal\.wasm; install it again"):
        webpage.write_site(exported, tmp_path / "site", unpacked)
    assert not (tmp_path / "site").exists()


# The runtime from the registry.


def test_the_registry_is_asked_once(exported, registry, tmp_path):
    webpage.write_site(exported, tmp_path / "one", None)
    assert registry.asked == [
        "https://registry.npmjs.org/@litertjs/core/-/core-2.5.3.tgz",
        "https://registry.npmjs.org/@litertjs/wasm-utils/-/wasm-utils-2.5.3.tgz",
    ]
    webpage.write_site(exported, tmp_path / "two")
    assert len(registry.asked) == 2
    assert files_below(tmp_path / "one") == files_below(tmp_path / "two") >= RUNTIME_FILES
    kept = tmp_path / "cache" / "keras_vae" / "litertjs"
    assert files_below(kept) == {"core-2.5.3.tgz", "wasm-utils-2.5.3.tgz"}


def test_a_damaged_cache_is_fetched_again(registry, tmp_path):
    kept = tmp_path / "cache" / "keras_vae" / "litertjs" / "core-2.5.3.tgz"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"half")
    assert litertjs.files()["core/dist/index.js"] == b"@litertjs/core/dist/index.js"
    assert kept.read_bytes() != b"half"


def test_a_cache_that_cannot_be_written_is_no_error(registry, tmp_path, caplog):
    (tmp_path / "cache").write_text("a file")
    assert len(litertjs.files()) == len(RUNTIME_FILES)
    assert "cannot be kept for next time" in caplog.text


def test_without_a_variable_the_cache_lies_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert litertjs._cache_folder() == tmp_path / ".cache" / "keras_vae" / "litertjs"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (urllib.error.URLError("Name or service not known"), "Name or service not known"),
        (TimeoutError("timed out"), "timed out"),
        (http.client.IncompleteRead(b""), "IncompleteRead"),
    ],
)
def test_no_network(exported, registry, tmp_path, error, reason):
    for url in registry.tarballs:
        registry.tarballs[url] = error
    with pytest.raises(ValueError, match=rf"could not be fetched from https.*{reason}.*Without network.* `litertjs`$"):
        webpage.write_site(exported, tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_wrong_hash(exported, registry, tmp_path):
    url = next(iter(registry.tarballs))
    registry.tarballs[url] = b"<html>Log in"
    received = re.escape(litertjs._integrity(b"<html>Log in"))
    with pytest.raises(ValueError, match=rf"core-2\.5\.3\.tgz must have the integrity sha512-.* Received: {received}"):
        webpage.write_site(exported, tmp_path / "site")
    assert not (tmp_path / "site").exists()
    assert not (tmp_path / "cache").exists()


def test_names_in_a_tarball_lead_nowhere(exported, registry, tmp_path):
    evil = {"package/../../../evil.txt": b"evil", "/tmp/keras_vae_evil.txt": b"evil", "package/more.txt": b"more"}
    registry.put(litertjs.CORE, tarball(members_of(litertjs.CORE, **evil)))
    folder = webpage.write_site(exported, tmp_path / "site")
    assert files_below(folder) == PAGE_FILES | RUNTIME_FILES | {
        "decoder.tflite",
        "model_card.json",
        atomic_files.MARKER,
    }
    assert list(tmp_path.rglob("evil*")) == []
    assert not os.path.exists("/tmp/keras_vae_evil.txt")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_a_link_in_a_tarball_is_not_followed(exported, registry, tmp_path, kind):
    link = tarfile.TarInfo("package/dist/index.js")
    link.type, link.linkname = kind, "/etc/passwd"
    registry.put(litertjs.CORE, tarball(members_of(litertjs.CORE, **{"package/dist/index.js": link})))
    with pytest.raises(ValueError, match=r"must hold dist/index\.js as a file\. Received: a link or folder"):
        webpage.write_site(exported, tmp_path / "site")


@pytest.mark.parametrize("content", [b"", b"no tar", tarball({"package/package.json": b"{}"})])
def test_a_tarball_without_the_files(exported, registry, tmp_path, content):
    registry.put(litertjs.CORE, content)
    with pytest.raises(ValueError, match=r"core-2\.5\.3\.tgz must hold package\.json, dist/index\.js"):
        webpage.write_site(exported, tmp_path / "site")


def test_the_tests_drive_the_pinned_runtime():
    lock = json.loads((ROOT / "tests" / "clients" / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for package in PACKAGES:
        pinned = lock[f"node_modules/{package.name}"]
        assert (pinned["version"], pinned["integrity"]) == (package.version, package.integrity)


def test_integrity_is_that_of_npm():
    # sha512 of the empty string, as `openssl dgst -sha512 -binary /dev/null | base64` prints it.
    digest = "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="
    assert litertjs._integrity(b"") == f"sha512-{digest}"
    assert hashlib.sha512(b"").digest_size == 64


# The server.


@pytest.fixture
def site(exported, unpacked, tmp_path):
    return webpage.write_site(exported, tmp_path / "site", unpacked)


@contextlib.contextmanager
def running(folder):
    """Yields a function that asks the server of `folder` for a path as it is written: -> status, headers, content."""
    with webpage.make_server(folder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def get(path, method="GET"):
            connection = http.client.HTTPConnection(*server.server_address, timeout=10)
            with contextlib.closing(connection):
                connection.request(method, path)
                answer = connection.getresponse()
                return answer.status, answer.headers, answer.read()

        get.address = server.server_address
        try:
            yield get
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/decoder.tflite", "application/octet-stream"),
        ("/model_card.json", "application/json"),
        ("/litert/core/wasm/litert_wasm_internal.wasm", "application/wasm"),
        ("/litert/core/dist/index.js", "text/javascript; charset=utf-8"),
    ],
)
def test_files_have_their_media_types(site, path, media_type):
    with running(site) as get:
        status, headers, content = get(path)
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, media_type, "no-cache")
    assert content == (site / (path[1:] or "index.html")).read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/../export/decoder.tflite",
        "/%2e%2e/export/decoder.tflite",
        "/litert/../../export/decoder.tflite",
        "/..%2fexport/decoder.tflite",
        "//etc/passwd",
        "/litert/",
        "/litert/core/wasm/",
        "/out.txt",
        "/nothing.txt",
        "/%00",
        "/circle",
        "/" + "a" * 5000,
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_only_the_files_of_the_folder_are_given_out(site, path, method):
    (site / "out.txt").symlink_to(site.parent / "export" / "model_card.json")
    (site / "circle").symlink_to(site / "circle")
    with running(site) as get:
        assert get(path, method)[0] == 404


def test_a_browser_that_leaves_is_no_news_and_a_failure_is_a_line(site, monkeypatch, capfd, caplog):
    # Without lingering, the server's next word meets a reset.
    reset = struct.pack("ii", 1, 0)
    with caplog.at_level(logging.INFO, logger="absl"), running(site) as get:
        for request in (b"GET / HTTP/1.1\r\n\r\n", b"GET / HT", b"\x16\x03\x01\r\n\r\n"):
            with socket.create_connection(get.address, timeout=10) as client:
                client.sendall(request)
                client.recv(1) if request.endswith(b"\r\n") else None
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        assert get("/")[0] == 200
        assert caplog.text == ""
        monkeypatch.setattr(webpage._Handler, "send_head", lambda self: 1 / 0)
        with pytest.raises(http.client.RemoteDisconnected):
            get("/")
    assert [record.getMessage() for record in caplog.records] == [
        "a request failed: ZeroDivisionError: division by zero"
    ]
    assert capfd.readouterr().err == ""


def test_serving_an_earlier_page_needs_no_tensorflow(site, tmp_path):
    for name in ("tensorflow", "keras"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} was imported')")
    (tmp_path / "model.keras").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "export" / "web").symlink_to(site)
        result = subprocess.run(
            [sys.executable, "-m", "export", str(tmp_path), "--serve", f"--port={port}"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))},
            capture_output=True,
            text=True,
            timeout=100,
        )
    assert result.stderr.startswith(f"error: `port` must be a free port of this machine, or 0. Received: {port} ")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_sent(site, method):
    with running(site) as get:
        assert get("/decoder.tflite", method)[0] == 501


def test_only_this_machine_is_served(site):
    with webpage.make_server(site) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_serve_says_where_and_ends_on_interrupt(site, monkeypatch, caplog):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("http.server.ThreadingHTTPServer.serve_forever", interrupted)
    with caplog.at_level(logging.INFO, logger="absl"):
        webpage.serve(site, 0)
    assert re.search(r"the page is at http://127\.0\.0\.1:[1-9]\d+ \(Ctrl-C ends\)", caplog.text)


def test_a_port_in_use(site):
    with (
        webpage.make_server(site) as server,
        pytest.raises(
            ValueError, match=rf"`port` must be a free port of this machine, or 0\. Received: {server.server_port}"
        ),
    ):
        webpage.serve(site, server.server_port)


def test_a_port_that_is_none(site):
    with pytest.raises(ValueError, match=r"`port` must be .* Received: 70000"):
        webpage.serve(site, 70000)


def test_a_folder_without_a_page(exported):
    with pytest.raises(ValueError, match=r"`folder` must hold index\.html, which `write_site` writes\. Received: "):
        webpage.serve(exported, 0)
