"""The call store: every request to a model and its answer, content-addressed, in one SQLite file.

Resuming is caching. A run that died is run again: what is in the store is not asked again, and the same
answers give the same bytes. No stage has checkpoint code.

A call's key is the hash of the provider's identity (model, revision, base URL, dtype, engine…), the request
and the schema version. Numbers of a local half-precision model depend on the shape of the batch, so where a
provider says that requests belong together (`Provider.groups`) the key also holds the hash of the whole group:
an answer is a function of the request list alone, never of what happens to be stored.
"""

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

from pipeline.budget import Meter, Purse, worst_cost
from pipeline.errors import PipelineError
from pipeline.ports import (
    Choice,
    ChoiceRequest,
    Completion,
    Embedding,
    EmbeddingRequest,
    Messages,
    Progress,
    Provider,
    Reply,
    Request,
    Reward,
    RewardRequest,
    SampleRequest,
    SilentProgress,
)
from pipeline.prices import FREE, LOCAL, Price
from pipeline.schema import SCHEMA_VERSION, Calls, ModelInfo, fingerprint

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


class StoredModel:
    """A provider behind the call store: the `TextModel`, `ChoiceModel`, `EmbeddingModel` and `RewardModel`
    that stages and filters see."""

    def __init__(
        self,
        provider: Provider,
        store: CallStore,
        progress: Progress | None = None,
        price: Price | None = None,
        purse: Purse | None = None,
    ) -> None:
        """`price` is None where it is not known; what runs here is free all the same."""
        self.provider = provider
        self.store = store
        self.price = FREE if price is None and provider.info.name.startswith(LOCAL) else price
        self.purse = purse or Purse()
        self.progress = progress or SilentProgress()
        self.task = provider.info.name
        """What the current calls are for; shown beside the progress."""
        self.tally = Calls(cost=0.0)

    @property
    def info(self) -> ModelInfo:
        """What is known of the model."""
        return self.provider.info

    def sample(self, requests: Sequence[SampleRequest]) -> list[Completion]:
        """One continuation a request, in order."""
        return [reply for reply in self._ask(requests) if isinstance(reply, Completion)]

    def written(self, requests: Sequence[SampleRequest]) -> list[Completion | None]:
        """The continuations that are stored, in the order of the requests, None for what was never asked."""
        keys = self.keys(requests)
        known = self.store.get(keys)
        return [reply if isinstance(reply := known.get(key), Completion) else None for key in keys]

    def choose(self, requests: Sequence[ChoiceRequest]) -> list[Choice]:
        """Log-probabilities of the options, a request each, in order."""
        return [reply for reply in self._ask(requests) if isinstance(reply, Choice)]

    def embed(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Unit vectors, shape (len(texts), d); d is 0 for no texts."""
        replies = self._ask([EmbeddingRequest(text) for text in texts])
        vectors = [reply.vector for reply in replies if isinstance(reply, Embedding)]
        return np.stack(vectors) if vectors else np.zeros((0, 0), dtype=np.float32)

    def score(self, dialogs: Sequence[Messages]) -> list[float]:
        """One number a dialog, higher is better."""
        return [reply.value for reply in self._ask([RewardRequest(d) for d in dialogs]) if isinstance(reply, Reward)]

    def keys(self, requests: Sequence[Request]) -> list[str]:
        """The store's key of each request in this list."""
        identity = fingerprint([SCHEMA_VERSION, dict(self.provider.identity())])
        own = [fingerprint([identity, type(request).__name__, asdict(request)]) for request in requests]
        keys = list(own)
        for group in self.provider.groups(requests):
            if len(group) > 1:
                together = fingerprint([own[i] for i in group])
                for position, i in enumerate(group):
                    keys[i] = fingerprint([own[i], together, position])
        return keys

    def _ask(self, requests: Sequence[Request]) -> list[Reply]:
        if not requests:
            return []
        keys = self.keys(requests)
        known = self.store.get(keys)
        missing = self._missing(requests, keys, known)
        reused = len(requests) - len(missing)
        self._count(reused=reused)
        self.progress.update(self.task, reused, len(requests))
        meter = Meter(self.purse, self.task, self.price, len(missing))
        for part in self._affordable(requests, missing):
            for answered in self.provider.answer([requests[i] for i in part]):
                batch = {part[j]: reply for j, reply in answered.items()}
                self.store.put(self.info.name, {keys[i]: (requests[i], reply) for i, reply in batch.items()})
                known.update((keys[i], reply) for i, reply in batch.items())
                self._count(made=list(batch.values()))
                meter.count(batch.values())
                self.progress.update(self.task, len(known), len(set(keys)), meter.reading())
        unanswered = sum(key not in known for key in keys)
        if unanswered:
            raise PipelineError(f"{self.info.name} left {unanswered} of {len(requests)} requests without an answer")
        return [known[key] for key in keys]

    def _affordable(self, requests: Sequence[Request], missing: Sequence[int]) -> Iterator[Sequence[int]]:
        """What is missing, in parts that the purse can pay for at the worst; all at once where nothing is charged.

        Raises BudgetReached where the next request might cost more than is left.
        """
        rest = list(missing)
        while rest:
            number = len(rest)
            if self.price and not self.price.is_free:
                number = self.purse.afford([worst_cost(self.price, self.provider.load(requests[i])) for i in rest])
            yield rest[:number]
            rest = rest[number:]

    def _missing(self, requests: Sequence[Request], keys: Sequence[str], known: Mapping[str, Reply]) -> list[int]:
        """What must be asked: whole groups, and a request that stands twice in the list only once."""
        missing: dict[str, int] = {}
        for group in self.provider.groups(requests):
            if any(keys[i] not in known for i in group):
                for i in group:
                    missing.setdefault(keys[i], i)
        return sorted(missing.values())

    def _count(self, made: Sequence[Reply] = (), reused: int = 0) -> None:
        before = self.tally
        self.tally = Calls(
            made=before.made + len(made),
            reused=before.reused + reused,
            tokens_in=before.tokens_in + sum(reply.tokens_in for reply in made),
            tokens_out=before.tokens_out + sum(reply.tokens_out for reply in made),
            cost=self._cost(made, before.cost),
        )

    def _cost(self, made: Sequence[Reply], before: float | None) -> float | None:
        """US dollars so far; None once something was asked whose price is not known."""
        if self.price is None:
            return None if made or before is None else before
        cost = self.price.cost(sum(reply.tokens_in for reply in made), sum(reply.tokens_out for reply in made))
        return None if before is None else before + cost
