"""The file as a whole, under the exclusive lock: made, brought to today's format, rescued where it is damaged.

A file that others may have open is never written over: the new one is built beside it and takes its name, and the
others see that (store.py). SQLite itself leaves alone what belongs to a file that has lost its name.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import BinaryIO, TypeVar

from pipeline.calls import old_format
from pipeline.calls.database import (
    APPLICATION,
    FORMAT,
    Damaged,
    connect,
    create,
    finish,
    insert,
    is_damage,
    transaction,
)
from pipeline.calls.files import sync
from pipeline.calls.pages import Pages, Record, records
from pipeline.calls.rows import Dialog, Row
from pipeline.errors import PipelineError

Note = Callable[[str], None]
Result = TypeVar("Result")

_LOG, _SHARED_MEMORY = "-wal", "-shm"
_LARGE = 100_000_000


def is_current(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether an open file has today's format, or else an earlier one.

    Raises Damaged, or PipelineError where the file is not one of ours.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application == APPLICATION and version == FORMAT:
        _check_size(connection, path)
        return True
    if application == APPLICATION:
        raise PipelineError(
            f"{path} was written by a newer version of mwe; update mwe, or choose another folder with MWE_CACHE_DIR"
        )
    if old_format.is_old(connection):
        return False
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise PipelineError(
            f"{path} is a database of another program and is left as it is; "
            "choose another folder for the calls with MWE_CACHE_DIR"
        )
    raise Damaged("it is empty")


def _check_size(connection: sqlite3.Connection, path: Path) -> None:
    """Raise Damaged where the log is not this file's last one: with it the file would lose its end.

    A store only grows (pruning makes a new file), so the file, looked at first, is never longer than what is in it.
    """
    on_disk = path.stat().st_size
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    if on_disk > pages * page_size:
        raise Damaged("it is longer than it says, as with a write-ahead log of earlier days")


def is_there(path: Path) -> bool:
    """Whether there is a file of calls, or what is left of one. Raises Damaged where it cannot be opened at all."""
    log = path.with_name(path.name + _LOG)
    left = log.exists() and log.stat().st_size > 0
    if not path.exists():
        if left:
            raise Damaged("only its write-ahead log is left")
        return False
    if not path.stat().st_size:
        # SQLite would take it for a new file, and delete the log.
        raise Damaged("it is empty")
    return True


def mend(path: Path, reason: str, note: Note) -> None:
    """Make a usable file of what is there. Nothing is lost: a damaged file is kept beside the new one.

    `reason` says what was found wrong while the file was used.
    """
    connection: sqlite3.Connection | None = None
    try:
        if not is_there(path):
            replace(path, lambda fresh: None)
            return
        connection = connect(path)
        if is_current(connection, path):
            raise Damaged(reason)
        _modernise(path, connection, note)
    except (sqlite3.DatabaseError, Damaged) as error:
        if not is_damage(error):
            raise
        _rescue(path, str(error), note)
    finally:
        # Only now: as long as the file had its name, closing it would have written the log into it.
        if connection is not None:
            connection.close()


def replace(path: Path, fill: Callable[[sqlite3.Connection], Result], aside: Path | None = None) -> Result:
    """Put a new file, filled by `fill`, in the place of the one that is there, which is kept as `aside` or goes.

    Until the very last step the old file is in its place.
    """
    part = path.with_name(f".{path.name}.part")
    _remove(part)
    try:
        fresh = create(part)
        with closing(fresh):
            with transaction(fresh):
                result = fill(fresh)
            finish(fresh)
        sync(part)
        _make_room(path, aside)
        part.replace(path)
        sync(path.parent)
    finally:
        _remove(part)
    return result


def _make_room(path: Path, aside: Path | None) -> None:
    if aside is not None and path.exists():
        try:
            aside.hardlink_to(path)
        except OSError:
            # No hard links on this disk: for a moment there is no file under the name.
            path.rename(aside)
    log = path.with_name(path.name + _LOG)
    if aside is not None and log.exists() and log.stat().st_size:
        log.rename(aside.with_name(aside.name + _LOG))
    for suffix in (_LOG, _SHARED_MEMORY):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _modernise(path: Path, connection: sqlite3.Connection, note: Note) -> None:
    if path.stat().st_size > _LARGE:
        note(f"bringing the call store {path} to its new form; this happens once")
    (expected,) = connection.execute("SELECT count(*) FROM calls").fetchone()

    def fill(fresh: sqlite3.Connection) -> None:
        kept = sum(insert(fresh, [row], dialogs) for row, dialogs in old_format.read(connection))
        if kept != expected:
            raise Damaged(f"{expected - kept:,} of its {expected:,} calls make no sense")

    replace(path, fill)


def _rescue(path: Path, reason: str, note: Note) -> None:
    aside = _free_name(path)
    kept = replace(path, lambda fresh: salvage(path, fresh), aside)
    name = aside.name if aside.exists() else aside.name + _LOG
    note(
        f"the call store {path} was damaged ({reason}): the {kept:,} calls in it that were whole are kept, the others "
        f"will be asked again. The damaged file is now {name}; delete it if you have no use for it"
    )


def salvage(path: Path, fresh: sqlite3.Connection) -> int:
    """Copy every whole call out of a file that may be damaged anywhere. Returns how many there were."""
    kept = 0
    with ExitStack() as files:
        main, log = (_open(files, path.with_name(path.name + suffix)) for suffix in ("", _LOG))
        columns = {len(Row._fields) + 1, len(Dialog._fields) + 1, len(old_format.FIELDS)}
        for record in records(Pages(main, log), columns):
            for row, dialogs in _recognised(record):
                kept += insert(fresh, [row] if row else [], dialogs)
    return kept


def _recognised(record: Record) -> Iterator[tuple[Row | None, dict[str, str]]]:
    """The call or the dialog in a record, where it is one and whole."""
    if len(record) == len(old_format.FIELDS):
        if converted := old_format.convert(record):
            yield converted
    # The first column is the row's number, which stands elsewhere in the file.
    elif record[0] is None and len(record) == len(Row._fields) + 1:
        row = Row(*record[1:])  # type: ignore[arg-type]  # is_whole tells
        if row.is_whole:
            yield row, {}
    elif record[0] is None and len(record) == len(Dialog._fields) + 1:
        dialog = Dialog(*record[1:])  # type: ignore[arg-type]  # is_whole tells
        if isinstance(dialog.text, str) and dialog.is_whole:
            yield None, {dialog.name: dialog.text}


def _open(files: ExitStack, path: Path) -> BinaryIO | None:
    return files.enter_context(path.open("rb")) if path.exists() else None


def _free_name(path: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    names = (path.with_name(f"{path.stem}.damaged-{stamp}{number}{path.suffix}") for number in ("", *range(1, 1000)))
    return next(name for name in names if not name.exists())


def _remove(path: Path) -> None:
    for suffix in ("", _LOG, _SHARED_MEMORY, "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
