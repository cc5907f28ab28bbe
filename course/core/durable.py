"""What is being written: locked while its writer lives, on disk when it is done, swept away when its writer was killed.

A lock is `flock`'s, on the file or folder itself: it ends with its process, however that ends. Windows has none, and
some network folders have none: there, nothing is locked, and what a killed command left stays until you delete it.
"""

import contextlib
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

UNFINISHED = re.compile(r"\.unfinished-[0-9a-f]{16}")
begun: dict[Path, int | None] = {}  # what this process writes now, and its lock: wherever a signal strikes, it is known
locks: set[int] = set()  # the descriptors that hold a lock, or wait for one
swept: list[Path] = []  # what killed commands had left, and this one removed


def lock(path: Path, wait: bool) -> int | None:
    """Lock a file or a folder. Returns the descriptor that holds it; None if another does, or there are no locks."""
    if sys.platform == "win32":
        return None
    held = None
    with contextlib.suppress(OSError):
        held = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        locks.add(held)
        fcntl.flock(held, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return held
    release(held)
    return None


def release(held: int | None) -> None:
    if held is not None:
        os.close(held)
        locks.discard(held)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time: the others wait. (Who enters twice, as by `begin` in the same folder, waits for ever.)"""
    held = lock(folder, wait=True)
    try:
        yield
    finally:
        release(held)


def unfinished_in(folder: Path) -> Path:
    """A new name for what will be renamed when it is whole."""
    return folder / f".unfinished-{secrets.token_hex(8)}"


def begin(path: Path, make: Callable[[Path], object]) -> None:
    """Make and lock a file or folder that `unfinished_in` named, and sweep away what killed commands left beside it.

    Raises OSError.
    """
    begun[path] = None
    with locked(path.parent):  # or what has just been made, and not locked yet, would look like a dead writer's
        for old in path.parent.iterdir():
            if UNFINISHED.fullmatch(old.name) and (held := lock(old, wait=False)) is not None:
                swept.append(old)
                remove(old)
                release(held)
        make(path)
        begun[path] = lock(path, wait=False)


def end(path: Path) -> None:
    """Leave nothing under the unfinished name, whether or not it was renamed. May be called again."""
    remove(path)
    release(begun.pop(path, None))


def abandon() -> None:
    """End all that this process has begun, wherever a signal struck."""
    for path in list(begun):
        remove(path)
    for held in locks:
        with contextlib.suppress(OSError):
            os.close(held)
    begun.clear()
    locks.clear()


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on disk. Raises OSError for a file; not every system can sync a folder."""
    folder = path.is_dir()
    with contextlib.suppress(OSError) if folder else contextlib.nullcontext():
        descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
