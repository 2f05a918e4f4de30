"""What is in the call store, and what is to go: `mwe cache stats` and `prune`."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.calls import database
from pipeline.calls.database import Selection
from pipeline.calls.store import CallStore
from pipeline.errors import UsageError

_SECONDS = {"h": 3_600, "d": 86_400, "w": 7 * 86_400}

_FIGURES = """
SELECT model, kind, count(*), sum(json_extract(CAST(reply AS TEXT), '$.tokens_in')),
    sum(json_extract(CAST(reply AS TEXT), '$.tokens_out')), sum(length(reply) + length(request)), min(created),
    max(created)
FROM calls GROUP BY model, kind ORDER BY model, kind
"""


@dataclass(frozen=True)
class Pruned:
    """What went, or would go, and the bytes on the disk before and after."""

    calls: int
    kept: int
    bytes_before: int
    bytes_after: int | None
    """None where nothing was done yet."""


def stats(store: CallStore) -> dict[str, Any]:
    """Where the store is, its bytes on the disk, and per model and kind of reply what was asked.

    Bytes of a model are those of its requests and replies; times are in UTC. `set_aside` are damaged files of earlier
    days (rescue.py), which are the user's to delete.
    """
    figures = store.use(lambda connection: connection.execute(_FIGURES).fetchall())
    names = ("model", "kind", "calls", "tokens_in", "tokens_out", "bytes")
    models = [
        {**dict(zip(names, row, strict=False)), "oldest": in_words(row[6]), "newest": in_words(row[7])}
        for row in figures
    ]
    aside = sorted(store.path.parent.glob(f"{store.path.stem}.damaged-*"))
    return {
        "path": str(store.path),
        "bytes": size(store.path),
        "calls": sum(row[2] for row in figures),
        "models": models,
        "set_aside": [{"path": str(path), "bytes": path.stat().st_size} for path in aside],
    }


def prune(store: CallStore, selection: Selection, dry_run: bool = False) -> Pruned:
    """Delete the calls of a selection and give their disk space back, which takes as much of it as what stays.

    Other processes wait meanwhile.
    """
    condition, values = selection.condition()
    counting = f"SELECT count(*), coalesce(sum({condition}), 0) FROM calls"
    total, going = store.use(lambda connection: connection.execute(counting, values).fetchone())
    before = size(store.path)
    if dry_run or not going:
        return Pruned(going, total - going, before, None if dry_run else before)
    kept = store.rewrite(lambda old, new: database.copy(old, new, database.select(old, selection, others=True)))
    return Pruned(going, kept, before, size(store.path))


def selection_from(older_than: str | None, models: list[str] | None, now: float | None = None) -> Selection:
    """What the options of the command line mean. Raises UsageError for an age that is none."""
    if older_than is None:
        return Selection(tuple(models or ()))
    found = re.fullmatch(r"(\d+)([hdw])", older_than)
    if found is None:
        raise UsageError(f"--older-than {older_than!r} is no age; expected hours, days or weeks, such as 12h or 30d")
    age = int(found[1]) * _SECONDS[found[2]]
    return Selection(tuple(models or ()), int((time.time() if now is None else now) - age))


def size(path: Path) -> int:
    """Bytes of a store on the disk, its write-ahead log included."""
    parts = (path, path.with_name(f"{path.name}-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())


def in_words(seconds: int) -> str:
    """A time as in a manifest: 2026-11-05T09:30:00Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
