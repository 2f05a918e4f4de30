"""Calls that go from store to store: `mwe cache export` and `merge`.

A file is either lines of JSON (lines.py), compressed or not, or a whole store in SQLite.
"""

from __future__ import annotations

import gzip
import os
import sqlite3
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pipeline.calls import database, old_format, rescue
from pipeline.calls.database import Selection
from pipeline.calls.files import sync
from pipeline.calls.lines import read_line, write_line
from pipeline.calls.rows import Row, reply_from_json, reply_to_json
from pipeline.calls.store import CallStore
from pipeline.errors import PipelineError, UsageError

_SUFFIXES = (".jsonl", ".jsonl.gz", ".sqlite")
_BATCH = 1_000
_LONGEST_LINE = 2**26
_NAMED = 10
"""So many of the calls that cannot be read are named; the others are counted."""

Note = Callable[[str], None]
Call = tuple[Row, dict[str, str]]
"""A row, and the dialogs that it shares, by name."""


@dataclass
class Merged:
    """What became of a file's calls."""

    file: str
    new: int = 0
    known: int = 0
    """In the store already, with the same reply."""
    conflicts: int = 0
    """In the store already, with another reply, which stays."""
    unreadable: int = 0
    problems: list[str] = field(default_factory=list)
    """Where and why, of the first of the unreadable ones."""


def export(store: CallStore, path: Path, selection: Selection) -> int:
    """Write the calls of a selection, as they are at this moment, into a file of their own. Returns how many.

    The file appears under its name once it is whole. Raises UsageError where its name says no form, or it is in use.
    """
    write = _write_store if _form(path) == ".sqlite" else _write_lines
    if path.with_name(f"{path.name}-wal").exists() or path.resolve() == store.path.resolve():
        raise UsageError(f"{path} is a call store in use; choose another name for the export")
    part = path.with_name(f".{os.getpid()}.{path.name}")

    def work(connection: sqlite3.Connection) -> int:
        with _writing(path):
            part.unlink(missing_ok=True)
            return write(connection, part, selection)

    try:
        number = store.use(work)
        with _writing(path):
            sync(part)
            part.replace(path)
            sync(path.absolute().parent)
    finally:
        part.unlink(missing_ok=True)
    return number


def merge(store: CallStore, paths: Sequence[Path], note: Note) -> list[Merged]:
    """Add the calls of files. What the store has already stays as it is; what cannot be read is named and left out.

    Every field is checked; that the replies are the models' own has to be believed, see lines.read_line.
    Raises UsageError, before anything is added, where a file is missing, has no known form, or is the store itself.
    """
    for path in paths:
        _form(path)
        if not path.is_file():
            raise UsageError(f"there is no file {path}")
        if path.resolve() == store.path.resolve():
            raise UsageError(f"{path} is the call store itself; there is nothing to merge")
    store.use(lambda connection: None)
    return [_merge(store, path, note) for path in paths]


def _merge(store: CallStore, path: Path, note: Note) -> Merged:
    read = _read_store if _form(path) == ".sqlite" else _read_lines
    merged = Merged(str(path))
    for batch in database.in_batches(read(path, store.path.parent, note), _BATCH):
        problems = [each for each in batch if isinstance(each, str)]
        merged.unreadable += len(problems)
        merged.problems += problems[: _NAMED - len(merged.problems)]
        _add(store, [each for each in batch if not isinstance(each, str)], merged)
    return merged


def _add(store: CallStore, calls: Sequence[Call], merged: Merged) -> None:
    """Store what is new of these, in one transaction, and count what is not."""

    def work(connection: sqlite3.Connection) -> tuple[int, int]:
        with database.transaction(connection):
            stored = {row.key: row for row in database.find(connection, [row.key for row, _ in calls])}
            new, conflicts = dict[bytes, Row](), 0
            for row, _ in calls:
                before = stored.get(row.key) or new.setdefault(row.key, row)
                conflicts += not _same_reply(before, row)
            database.insert(connection, list(new.values()), {k: text for _, own in calls for k, text in own.items()})
        return len(new), conflicts

    new, conflicts = store.use(work)
    merged.new += new
    merged.conflicts += conflicts
    merged.known += len(calls) - new - conflicts


def _same_reply(one: Row, other: Row) -> bool:
    if one.reply == other.reply:
        return True
    # The first format wrote the same reply with more spaces.
    return one.kind == other.kind and reply_to_json(reply_from_json(one.kind, one.reply)) == other.reply


def _read_lines(path: Path, folder: Path, note: Note) -> Iterator[Call | str]:
    number = 1
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        try:
            while line := file.readline(_LONGEST_LINE):
                if line.strip():
                    yield _checked(line, f"line {number}")
                number += 1
        except (EOFError, zlib.error, gzip.BadGzipFile):
            yield f"line {number}: here the compressed file is cut short or damaged"


def _read_store(path: Path, folder: Path, note: Note) -> Iterator[Call | str]:
    with ExitStack() as stack:
        connection = stack.enter_context(closing(_open(path)))
        try:
            readable = _is_readable(connection, path)
        except (sqlite3.DatabaseError, database.Damaged) as error:
            if not database.is_damage(error):
                raise PipelineError(f"{path} cannot be read: {error}") from None
            note(f"{path} is damaged ({error}); what is whole in it is merged")
            readable = False
        if not readable:
            copy = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder))) / path.name
            connection = stack.enter_context(closing(database.create(copy)))
            with database.transaction(connection):
                rescue.salvage(path, connection)
        for number, row in enumerate(database.select(connection, Selection()), 1):
            yield _checked(write_line(row, database.whole_request(connection, row)), f"call {number}")


def _open(path: Path) -> sqlite3.Connection:
    # A single file is opened without locks, since those would leave files beside it; it is not written any more.
    is_alone = not path.with_name(f"{path.name}-wal").exists()
    connection = database.connect(path, "ro", immutable=is_alone)
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection


def _is_readable(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether a file is a store in today's format, or else one in the first. Raises Damaged; UsageError if neither."""
    if database.has_schema(connection):
        for _ in database.select(connection, Selection()):
            pass
        return True
    if not old_format.is_old(connection):
        raise UsageError(f"{path} is no store of calls, or one of a newer version of mwe; nothing is merged")
    return False


def _checked(line: bytes, place: str) -> Call | str:
    try:
        return read_line(line)
    except ValueError as error:
        return f"{place}: {error}"


def _write_lines(connection: sqlite3.Connection, path: Path, selection: Selection) -> int:
    number = 0
    with path.open("wb") as plain, _compressed(plain) if path.suffix == ".gz" else plain as file:
        for row in database.select(connection, selection):
            file.write(write_line(row, database.whole_request(connection, row)))
            number += 1
    return number


def _compressed(file: IO[bytes]) -> gzip.GzipFile:
    # Without a name and a time in it, the same calls give the same bytes.
    return gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0)


def _write_store(connection: sqlite3.Connection, path: Path, selection: Selection) -> int:
    with closing(database.create(path)) as fresh:
        with database.transaction(fresh):
            number = database.copy(connection, fresh, database.select(connection, selection))
        database.finish(fresh, journal="DELETE")
    return number


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Errors of the disk, said of the file that is being written."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        if database.is_damage(error):
            raise
        raise PipelineError(f"{path} cannot be written: {error}") from None


def _form(path: Path) -> str:
    for suffix in _SUFFIXES:
        if path.name.endswith(suffix):
            return suffix
    raise UsageError(f"{path.name} says no form of calls; its name must end in {', '.join(_SUFFIXES)}")
