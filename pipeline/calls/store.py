"""The file of stored calls: key -> request and reply, in SQLite."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import PipelineError
from pipeline.ports import (
    Choice,
    Completion,
    Embedding,
    Reply,
    Request,
    Reward,
)

_READ_CHUNK = 500


def default_folder() -> Path:
    """`MWE_CACHE_DIR`, or `mwe/calls` in the user's cache folder."""
    if chosen := os.environ.get("MWE_CACHE_DIR"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "mwe" / "calls"


class CallStore:
    """Key -> reply, in `calls.sqlite` of a folder. Safe for several processes at once (WAL)."""

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or default_folder()) / "calls.sqlite"
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._connection = self._open()
            yield self._connection
        except (sqlite3.Error, OSError) as error:
            raise PipelineError(
                f"the call store {self.path} cannot be used: {error}. "
                "Free the disk or point MWE_CACHE_DIR to another folder; what was stored before is kept."
            ) from error

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, model TEXT NOT NULL, kind TEXT NOT NULL, "
            "request BLOB NOT NULL, reply TEXT NOT NULL, created REAL NOT NULL) "
            "WITHOUT ROWID"
        )
        return connection

    def get(self, keys: Sequence[str]) -> dict[str, Reply]:
        """The stored replies among `keys`."""
        found: dict[str, Reply] = {}
        with self._database() as database:
            for start in range(0, len(keys), _READ_CHUNK):
                chunk = keys[start : start + _READ_CHUNK]
                marks = ",".join("?" * len(chunk))
                rows = database.execute(f"SELECT key, kind, reply FROM calls WHERE key IN ({marks})", chunk)
                found.update((key, _reply_from_text(kind, text)) for key, kind, text in rows)
        return found

    def put(self, model: str, calls: Mapping[str, tuple[Request, Reply]]) -> None:
        """Store calls in one transaction: all of them, or none after a crash. A stored call is never changed."""
        rows = [
            (key, model, type(reply).__name__, _request_to_blob(request), _reply_to_text(reply), time.time())
            for key, (request, reply) in calls.items()
        ]
        with self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                database.executemany(
                    "INSERT INTO calls (key, model, kind, request, reply, created) VALUES (?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT (key) DO NOTHING",
                    rows,
                )
                database.execute("COMMIT")
            except BaseException:
                # A full disk may already have ended the transaction.
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    def request(self, key: str) -> dict[str, Any] | None:
        """The stored request of a call as plain JSON values, or None."""
        with (
            self._database() as database,
            closing(database.execute("SELECT request FROM calls WHERE key=?", (key,))) as c,
        ):
            row = c.fetchone()
        return json.loads(zlib.decompress(row[0])) if row else None

    def close(self) -> None:
        """Close the file; the store can be used again afterwards."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _request_to_blob(request: Request) -> bytes:
    return zlib.compress(json.dumps(asdict(request), ensure_ascii=False).encode(), 1)


def _reply_to_text(reply: Reply) -> str:
    fields = asdict(reply)
    if isinstance(reply, Embedding):
        fields["vector"] = base64.b64encode(reply.vector.astype("<f4").tobytes()).decode()
    return json.dumps(fields, ensure_ascii=False)


def _reply_from_text(kind: str, text: str) -> Reply:
    fields = json.loads(text)
    match kind:
        case "Completion":
            return Completion(**fields)
        case "Choice":
            fields["log_probabilities"] = tuple(fields["log_probabilities"])
            fields["answer_forms"] = tuple(fields["answer_forms"])
            return Choice(**fields)
        case "Embedding":
            fields["vector"] = np.frombuffer(base64.b64decode(fields["vector"]), dtype="<f4")
            return Embedding(**fields)
        case "Reward":
            return Reward(**fields)
    raise PipelineError(f"the call store holds a reply of the unknown kind {kind!r}; it was written by a newer version")
