"""How much memory this process may use and has used; what a file claims to hold is checked before it is allocated."""

import contextlib
import os
import pathlib
import sys

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# Deflate cannot compress by more than this (zlib's technical notes): a header that claims more is damaged or malicious.
DEFLATE_RATIO = 1032


def inflated(compressed_size: int) -> int:
    """Returns the largest number of bytes that deflated data of `compressed_size` bytes can hold."""
    return compressed_size * DEFLATE_RATIO


def check_memory(size: int, what: str) -> None:
    """Raises `ValueError` if `size` bytes are more memory than this process may use; `what` names them in the error."""
    memory = _memory()
    if size > memory:
        raise ValueError(
            f"{what} must fit in memory, which is {memory / 2**30:.1f} GiB here. Received: {size / 2**30:.1f} GiB"
        )


def peak() -> int | None:
    """Returns the most bytes of memory that this process has had so far, or None where the system does not say."""
    # A process begins with the peak of the one that started it, as `getrusage` counts on Linux, but not in this file.
    with contextlib.suppress(OSError, StopIteration):
        lines = pathlib.Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    if resource is None:
        return None
    # In bytes on macOS, and in KiB elsewhere.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _memory():
    """Returns the smallest of the machine's memory, the limits of this process and those of its container."""
    return min([*_machine(), *_process(), *_container()], default=float("inf"))


def _machine():
    try:
        return [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, OSError, ValueError):  # the system does not say, as on Windows
        return []


def _process():
    """Returns what `ulimit -v` and `ulimit -d` allow."""
    if resource is None:
        return []
    found = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return [limit for limit in found if limit != resource.RLIM_INFINITY]


def _container(groups=pathlib.Path("/proc/self/cgroup"), root=pathlib.Path("/sys/fs/cgroup")):
    """Returns the memory limits of the control groups (versions 1 and 2) of this process and of all their parents."""
    try:
        lines = groups.read_text(encoding="utf-8").splitlines()
    except OSError:  # the system has no control groups
        return []
    found = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top, name = (root / "memory", "memory.limit_in_bytes") if controllers else (root, "memory.max")
        folder = top / group.lstrip("/")
        for place in (folder, *folder.parents)[: len(folder.parts) - len(top.parts) + 1]:
            # A container does not see the parents of its own group, and a group without a limit says "max".
            with contextlib.suppress(OSError, ValueError):
                found.append(int((place / name).read_text(encoding="utf-8")))
    return found
