"""How much a file may claim to hold, asked before anything is allocated."""

import contextlib
import os
import pathlib

try:
    import resource
except ImportError:  # Windows
    resource = None

# The best that deflate can do: a longer claim is a damaged or malicious header (zlib's technical notes).
DEFLATE_RATIO = 1032


def inflated(compressed_size: int) -> int:
    """Returns the largest number of bytes that deflated data of `compressed_size` bytes can hold."""
    return compressed_size * DEFLATE_RATIO


def check_memory(size: int, what: str) -> None:
    """Raises `ValueError` if `size` bytes of `what` are more than this process can have of memory."""
    memory = _memory()
    if size > memory:
        raise ValueError(
            f"{what} must fit in memory, which is {memory / 2**30:.1f} GiB here. Received: {size / 2**30:.1f} GiB"
        )


def _memory():
    """Returns the least of the machine's memory, the limits of this process and those of its container."""
    return min([*_machine(), *_process(), *_container()], default=float("inf"))


def _machine():
    try:
        return [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, OSError, ValueError):  # not known, as on Windows
        return []


def _process():
    """Returns what `ulimit -v` and `ulimit -d` allow."""
    if resource is None:
        return []
    found = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return [limit for limit in found if limit != resource.RLIM_INFINITY]


def _container(groups=pathlib.Path("/proc/self/cgroup"), root=pathlib.Path("/sys/fs/cgroup")):
    """Returns the memory limits of the control groups of this process and of all around them, versions 1 and 2."""
    try:
        lines = groups.read_text(encoding="utf-8").splitlines()
    except OSError:  # there are none
        return []
    found = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top, name = (root / "memory", "memory.limit_in_bytes") if controllers else (root, "memory.max")
        folder = top / group.lstrip("/")
        for place in (folder, *folder.parents)[: len(folder.parts) - len(top.parts) + 1]:
            # A container does not see the groups around its own, and "max" is no number.
            with contextlib.suppress(OSError, ValueError):
                found.append(int((place / name).read_text(encoding="utf-8")))
    return found
