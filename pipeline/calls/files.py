"""Locks between processes, and files that are replaced whole.

A lock is the operating system's and belongs to the open file: it is free as soon as its process is gone,
killed or not, and there is nothing to clean up or to wait out.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_WINDOWS_PAUSE = 0.005

if sys.platform == "win32":
    import msvcrt

    def lock(file: int, shared: bool = False, wait: bool = True) -> bool:
        """Lock an open file; whether that worked. Windows knows no shared locks here: each excludes the others."""
        while True:
            # Far behind the end, since what is locked cannot be read by others.
            os.lseek(file, 2**30, os.SEEK_SET)
            try:
                msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
                return True
            except OSError:
                if not wait:
                    return False
            time.sleep(_WINDOWS_PAUSE)

    def unlock(file: int) -> None:
        """Give the lock back."""
        os.lseek(file, 2**30, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def lock(file: int, shared: bool = False, wait: bool = True) -> bool:
        """Lock an open file; whether that worked, which it always does with `wait`."""
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(file: int) -> None:
        """Give the lock back."""
        fcntl.flock(file, fcntl.LOCK_UN)


class FileLock:
    """Many readers or one writer, between processes, on a file that is made for it. Not to be nested."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    @contextmanager
    def held(self, shared: bool = False) -> Iterator[None]:
        """Wait for the lock, and hold it for as long as the block runs. Raises OSError where there can be no file."""
        file = self._acquire(shared)
        try:
            yield
        finally:
            unlock(file)

    def _acquire(self, shared: bool) -> int:
        while True:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("ab")
            file = self._file.fileno()
            lock(file, shared)
            if identity(self.path) == identity(file):
                return file
            # Somebody cleared the folder: those who come now lock another file.
            self.close()

    def close(self) -> None:
        """Let go of the file; the lock can be used again afterwards."""
        if self._file is not None:
            self._file.close()
            self._file = None


def identity(file: Path | int) -> tuple[int, int] | None:
    """Which file it is, whatever it is called: device and inode; None if there is none."""
    try:
        found = os.fstat(file) if isinstance(file, int) else file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def sync(path: Path) -> None:
    """Make sure that a file, or the names in a folder, are on the disk."""
    if path.is_dir() and os.name != "posix":
        return
    file = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(file)
    finally:
        os.close(file)
