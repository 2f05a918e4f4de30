"""Stored calls of the first format of the file (`PRAGMA user_version` 0), as rows of today's.

There a request stood compressed in its row, with its dialog, and the key was text. Keys have not changed since.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from typing import Any

from pipeline.calls.canonical import dialog_name
from pipeline.calls.rows import Row, key_bytes, with_checksum

FIELDS = ("key", "model", "kind", "request", "reply", "created")

_LONGEST = 2**26


def is_old(connection: sqlite3.Connection) -> bool:
    """Whether a file has the first format."""
    columns = [row[1] for row in connection.execute("PRAGMA table_info(calls)")]
    return columns == list(FIELDS)


def read(connection: sqlite3.Connection) -> Iterator[tuple[Row, dict[str, str]]]:
    """Each call of a file of the first format, with its dialogs by name."""
    for record in connection.execute(f"SELECT {', '.join(FIELDS)} FROM calls ORDER BY created, key"):
        if (converted := convert(record)) is not None:
            yield converted


def convert(record: tuple[Any, ...]) -> tuple[Row, dict[str, str]] | None:
    """The row and the dialogs of a record in the order of FIELDS; None where it is none, or damaged."""
    key, model, kind, request, reply, created = record
    texts = isinstance(key, str) and isinstance(model, str) and isinstance(kind, str) and isinstance(reply, str)
    if not texts or not isinstance(request, bytes) or not isinstance(created, int | float):
        return None
    try:
        fields = json.loads(zlib.decompressobj().decompress(request, _LONGEST))
        json.loads(reply)
    except (zlib.error, ValueError):
        return None
    if not isinstance(fields, dict):
        return None
    text, dialogs = _by_reference(kind, fields)
    return with_checksum(key_bytes(key), model, kind, int(created), reply.encode(), text.encode()), dialogs


def _by_reference(kind: str, fields: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """What `canonical.by_reference` makes of the request that has these fields."""
    dialogs = {}
    if kind == "Completion":
        for field in ("messages", "contrast"):
            if fields.get(field) is not None:
                text = _canonical(fields[field])
                dialogs[dialog_name(text)] = text
                fields[field] = dialog_name(text)
    return _canonical(fields), dialogs


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
