"""A model behind the call store: what stages and filters see. Only what is not stored is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from pipeline.calls.store import CallStore
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
from pipeline.schema import SCHEMA_VERSION, Calls, ModelInfo, fingerprint

LOCAL = ("local/", "hf/", "fake/")
"""Providers whose calls cost nothing."""


class StoredModel:
    """A provider behind the call store: the `TextModel`, `ChoiceModel`, `EmbeddingModel` and `RewardModel`
    that stages and filters see."""

    def __init__(self, provider: Provider, store: CallStore, progress: Progress | None = None) -> None:
        self.provider = provider
        self.store = store
        self.progress = progress or SilentProgress()
        self.task = provider.info.name
        """What the current calls are for; shown beside the progress."""
        self.tally = Calls()

    @property
    def info(self) -> ModelInfo:
        """What is known of the model."""
        return self.provider.info

    def sample(self, requests: Sequence[SampleRequest]) -> list[Completion]:
        """One continuation a request, in order."""
        return [reply for reply in self._ask(requests) if isinstance(reply, Completion)]

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
        for answered in self.provider.answer([requests[i] for i in missing]) if missing else ():
            batch = {missing[j]: reply for j, reply in answered.items()}
            self.store.put(self.info.name, {keys[i]: (requests[i], reply) for i, reply in batch.items()})
            known.update((keys[i], reply) for i, reply in batch.items())
            self._count(made=list(batch.values()))
            self.progress.update(self.task, len(known), len(set(keys)))
        unanswered = sum(key not in known for key in keys)
        if unanswered:
            raise PipelineError(f"{self.info.name} left {unanswered} of {len(requests)} requests without an answer")
        return [known[key] for key in keys]

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
            cost=0.0 if self.info.name.startswith(LOCAL) else None,
        )
