"""The bytes of a log, unpacked where it is gzip or Zstandard: recognised by its first bytes, whatever its name.

A file that was cut short, or that grows without end when it is unpacked, is refused.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from course.core.files import LARGEST_JSON, InputError, open_file, reason_of

GZIP, ZSTD, PARQUET, ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1", b"PK\x03\x04"
BLOCK = 1 << 20
SIP = 512  # bytes fed to Zstandard at a time: four of them may become 128 KB
LARGEST_LOG = 4 << 30  # bytes of a log, unpacked
LARGEST_WHOLE = 512 << 20  # bytes of one that has to be read whole
PACKAGES = "pip install -r transfer/requirements-read.txt"


def blocks(path: Path) -> Iterator[bytes]:
    """The bytes of a log, unpacked, at most some 16 MB at a time. Raises InputError."""
    size = 0
    try:
        with open_file(path) as file:
            begin = file.peek(4)
            unpacked = gunzip if begin.startswith(GZIP) else unzstd if begin.startswith(ZSTD) else plain
            for block in unpacked(file):
                size += len(block)
                if size > LARGEST_LOG:
                    raise InputError(path, f"more than {LARGEST_LOG >> 30} GB when it is unpacked: split it")
                yield block
    except ModuleNotFoundError:
        raise InputError(path, f"it is packed with Zstandard: {PACKAGES}") from None
    except (EOFError, zlib.error, ValueError) as error:
        raise InputError(path, f"it cannot be unpacked: {error}") from None
    except OSError as error:
        raise InputError(path, reason_of(error)) from None


def plain(file: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


def gunzip(file: IO[bytes]) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file) as unpacked:
        yield from plain(unpacked)


def unzstd(file: IO[bytes]) -> Iterator[bytes]:
    """Raises ValueError for what is torn or broken, ModuleNotFoundError without the package."""
    import zstandard

    frame, begun, parts, size = zstandard.ZstdDecompressor().decompressobj(), False, list[bytes](), 0
    while sip := file.read(SIP):
        while sip:
            try:
                parts.append(frame.decompress(sip))
            except zstandard.ZstdError as error:
                raise ValueError(str(error)) from None
            size, begun, sip = size + len(parts[-1]), not frame.eof, b""
            if frame.eof:
                sip, frame = frame.unused_data, zstandard.ZstdDecompressor().decompressobj()
        if size > BLOCK:
            yield b"".join(parts)
            parts, size = [], 0
    if begun:
        raise ValueError("it ends in the middle of a frame")
    yield b"".join(parts)


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a log, each with its number, from 1. Raises InputError, also for a line longer than 16 MB."""
    number, rest, size = 0, list[bytes](), 0
    for block in blocks(path):
        *whole, last = block.split(b"\n")
        for line in whole:
            number += 1
            size += len(line)
            if size > LARGEST_JSON:
                break
            yield number, b"".join([*rest, line])
            rest, size = [], 0
        else:
            rest.append(last)
            size += len(last)
        if size > LARGEST_JSON:
            raise InputError(path, f"the line is longer than {LARGEST_JSON >> 20} MB", number + (not whole))
    if size:
        yield number + 1, b"".join(rest)


def whole(path: Path) -> bytes:
    """All bytes of a log. Raises InputError."""
    parts, size = [], 0
    for block in blocks(path):
        parts.append(block)
        size += len(block)
        if size > LARGEST_WHOLE:
            raise InputError(
                path, f"more than {LARGEST_WHOLE >> 20} MB, which is more than can be read whole: split it"
            )
    return b"".join(parts)


def beginning(path: Path) -> bytes:
    """The first bytes of a log, unpacked. Raises InputError."""
    return next(blocks(path), b"")[:BLOCK]
