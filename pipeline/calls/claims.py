"""Who is asking what: of two processes that want the same calls at once, one asks and the other waits.

A process writes what it is about to ask into a file of its own, and holds a lock on that file while it asks.
A claim whose lock is free is void: its owner is gone, and the calls are anybody's. Nothing has to be waited out.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.calls.files import FileLock, lock

_KEY_BYTES = 32

Keys = frozenset[bytes]


class Claims:
    """The claims on a store's calls: a folder with a file for each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = FileLock(folder / "lock")
        self._read: dict[str, Keys] = {}

    def take(self, groups: Sequence[Sequence[str]]) -> Claim:
        """Claim those groups of keys of which nobody else has claimed any. Raises OSError where no file can be made.

        Another process may have answered them just before: look into the store again before asking.
        """
        wanted = [[bytes.fromhex(key) for key in group] for group in groups]
        with self._lock.held():
            others = self._others()
            free = [i for i, keys in enumerate(wanted) if all(held.isdisjoint(keys) for held in others.values())]
            mine = [key for i in free for key in wanted[i]]
            file = self._write(mine) if mine else None
        rest = [key for keys in wanted for key in keys] if len(free) < len(wanted) else []
        holders = sorted({int(name.partition("-")[0]) for name, held in others.items() if not held.isdisjoint(rest)})
        return Claim(tuple(free), tuple(holders), file)

    def close(self) -> None:
        """Let go of the lock's file."""
        self._lock.close()

    def _others(self) -> dict[str, Keys]:
        """Whose owners live; what the others left behind is removed."""
        # A claim is written once, under the lock, so one that was read need not be read again.
        alive = [path for path in self.folder.glob("*-*") if _is_held(path)]
        self._read = {path.name: self._read.get(path.name) or _keys_in(path) for path in alive}
        return self._read

    def _write(self, keys: Sequence[bytes]) -> tuple[Path, int]:
        path = self.folder / f"{os.getpid()}-{secrets.token_hex(8)}"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            lock(file)
            with os.fdopen(file, "wb", closefd=False) as stream:
                stream.write(b"".join(keys))
        except BaseException:
            _release(path, file)
            raise
        return path, file


@dataclass(frozen=True)
class Claim:
    """What this process alone may ask now; a context manager that gives it back."""

    mine: tuple[int, ...]
    """Indices of the groups that were claimed."""
    holders: tuple[int, ...]
    """Numbers of the processes that have claimed others."""
    _file: tuple[Path, int] | None

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            _release(*self._file)


def _is_held(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    if not lock(file, wait=False):
        os.close(file)
        return True
    _release(path, file)
    return False


def _keys_in(path: Path) -> Keys:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return Keys()
    return Keys(text[start : start + _KEY_BYTES] for start in range(0, len(text), _KEY_BYTES))


def _release(path: Path, file: int) -> None:
    # In this order, since Windows removes no open file. Who finds it in between takes it for a dead one's.
    os.close(file)
    path.unlink(missing_ok=True)
