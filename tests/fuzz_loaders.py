"""Gives many damaged files to every loader and prints a table of the results.

    python tests/fuzz_loaders.py --files=500

Each kind of file has a process of its own, whose memory may grow by 2 GiB. The files are the same in every run.
"""

import argparse
import collections
import contextlib
import io
import json
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile

from helpers import ROOT

from keras_vae.runs.run_dir import RunDir
from keras_vae.runs.safe_loading import load_vae

sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
KINDS = ("model.keras", "config.json in it", "weights in it", "checkpoint", "config.json", "png", "jpeg", "npy", "npz")
KINDS += ("idx",)
SECONDS = 60


def case(kind, folder):
    """Returns a strategy of contents, a function that writes one to a file, and a function that reads the file."""
    import numpy as np
    from fuzz import altered, damaged
    from helpers import make_vae
    from PIL import Image

    from keras_vae import data
    from keras_vae.runs import checkpoints
    from keras_vae.runs.config import Config

    images = np.random.default_rng(0).integers(0, 256, (9, 8, 7), dtype=np.uint8)
    if kind in KINDS[:4]:
        path = checkpoints.path_of(folder, 1)
        make_vae().save(path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}

        def rewrite(name, content):
            with zipfile.ZipFile(path, "w") as archive:
                for other in members:
                    archive.writestr(other, content if other == name else members[other])

        if kind == "config.json in it":
            tree = json.loads(members["config.json"])
            return altered(tree), lambda tree: rewrite("config.json", json.dumps(tree)), lambda: load_vae(path)
        if kind == "weights in it":
            weights = "model.weights.h5"
            return damaged(members[weights]), lambda x: rewrite(weights, x), lambda: load_vae(path)
        read = (lambda: checkpoints.restore(folder, load_vae)) if kind == "checkpoint" else None
        return damaged(path.read_bytes()), path.write_bytes, read or (lambda: load_vae(path))
    if kind == "config.json":
        path = folder / kind
        return (
            altered(Config().to_dict()),
            lambda x: path.write_text(json.dumps(x)),
            lambda: RunDir(folder).config,
        )
    if kind in ("png", "jpeg"):
        file = io.BytesIO()
        Image.fromarray(images[0]).save(file, kind)
        path, name = folder / f"a.{kind}", str(folder)
        for number in range(4):
            (folder / f"{number}.{kind}").write_bytes(file.getvalue())
        return damaged(file.getvalue()), path.write_bytes, lambda: data.load(name, image_size=(8, 7))
    if kind == "idx":
        header = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in images.shape)
        for name in ("train", "t10k"):
            (folder / f"{name}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        path = folder / "train-images-idx3-ubyte"
        return damaged(header + images.tobytes()), path.write_bytes, lambda: data.load(str(folder))
    file, path = io.BytesIO(), folder / f"x.{kind}"
    np.save(file, images) if kind == "npy" else np.savez_compressed(file, x=images)
    return damaged(file.getvalue()), path.write_bytes, lambda: data.load(str(path))


def hang(*_):
    """Ends a reader that takes too long."""
    raise SystemExit(f"no end after {SECONDS} s")


def measure(kind, files):
    """Returns the counts, the longest time in seconds and the growth of the memory in MB."""
    import fuzz
    from hypothesis import Phase, given, settings

    counts, longest = collections.Counter(), 0.0
    with tempfile.TemporaryDirectory() as folder:
        contents, write, read = case(kind, pathlib.Path(folder))
        with contextlib.suppress(ValueError):
            read()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**31, resource.RLIM_INFINITY))
        signal.signal(signal.SIGALRM, hang)

        @settings(fuzz.FUZZ, max_examples=files, phases=[Phase.generate])
        @given(contents)
        def attempt(content):
            nonlocal longest
            for path in pathlib.Path(folder).glob("*.damaged"):
                path.unlink()
            write(content)
            start = time.perf_counter()
            signal.alarm(SECONDS)
            try:
                read()
                counts["read"] += 1
            except ValueError as error:
                counts["one line" if "\n" not in str(error) else "many lines"] += 1
            except BaseException as error:
                counts[type(error).__name__] += 1
                print(kind, repr(error)[:300], file=sys.stderr)
            signal.alarm(0)
            longest = max(longest, time.perf_counter() - start)

        attempt()
    return counts, longest, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main():
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=500, help="how many of each kind")
    parser.add_argument("--kind", choices=KINDS, help="only this kind, in this process")
    flags = parser.parse_args()
    if flags.kind:
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(sys.stderr):
            counts, longest, grown = measure(flags.kind, flags.files)
        others = {name: count for name, count in counts.items() if name not in ("read", "one line")}
        cells = (flags.kind, counts.total(), counts["one line"], counts["read"], others or 0)
        print("|", *(f"{cell} |" for cell in (*cells, f"{longest:.2f} s", f"{grown:.0f} MB")))
        return
    print("| file | damaged | `ValueError` of one line | read | anything else | longest | memory grew by |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for kind in KINDS:
        command = [sys.executable, __file__, f"--kind={kind}", f"--files={flags.files}"]
        code = subprocess.run(command, stderr=subprocess.DEVNULL).returncode
        if code:
            print(f"| {kind} | the process ended with {code} |", flush=True)


if __name__ == "__main__":
    main()
