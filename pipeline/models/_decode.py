"""The decoding loop: one token a row and step, rows that are done leave the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pipeline.models._sampling import draw, guided, random_stream
from pipeline.models._work import Job, Network, Text

_COMPACT_AT = 0.75
"""The batch is made smaller when at most this share of its rows is still running."""


@torch.inference_mode()
def decode(network: Network, tokenizer: Any, ends: frozenset[int], jobs: Sequence[Job]) -> list[Text]:
    """Sample one continuation a job, all jobs as one batch."""
    rows = [_Row(job, min(job.max_tokens, network.context - len(job.prompt))) for job in jobs]
    stops = _StopFinder(tokenizer)
    batch = _Batch(network, rows)
    while batch.rows:
        for row, token in zip(batch.rows, batch.draw(), strict=True):
            if not row.done:
                row.take(int(token), ends, stops)
        batch.advance()
    return [Text(row.text, len(row.tokens), row.stopped) for row in rows]


class _Row:
    """One job on its way."""

    def __init__(self, job: Job, room: int) -> None:
        self.job = job
        self.room = room
        self.stream = random_stream(job.seed, job.index)
        self.tokens: list[int] = []
        self.text = ""
        self.stopped = False
        self.done = False

    @property
    def is_guided(self) -> bool:
        return bool(self.job.contrast) and self.job.guidance != 0

    def take(self, token: int, ends: frozenset[int], stops: _StopFinder) -> None:
        """Add a token and see whether the text is over."""
        self.tokens.append(token)
        if token in ends:
            self.stopped = self.done = True
            self.text = stops.decode(self.tokens[:-1])
            return
        cut = stops.find(self.tokens, self.job.stop)
        self.stopped = cut is not None
        self.done = self.stopped or len(self.tokens) >= self.room
        if self.done:
            self.text = stops.decode(self.tokens) if cut is None else cut


class _StopFinder:
    """Finds stop strings in text as it grows."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._pieces: dict[int, str] = {}

    def decode(self, tokens: Sequence[int]) -> str:
        """Tokens as text, special ones left out."""
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def find(self, tokens: Sequence[int], stop: tuple[str, ...]) -> str | None:
        """The text before the first stop string, or None where there is none."""
        # Decoding a whole text at every step costs more than a small model's step: a stop string can only have
        # been completed by a token that holds its last character.
        piece = self._piece(tokens[-1])
        if not any(mark[-1] in piece or mark[-1] == " " for mark in stop):
            return None
        text = self.decode(tokens)
        places = [text.find(mark) for mark in stop if mark in text]
        return text[: min(places)] if places else None

    def _piece(self, token: int) -> str:
        if token not in self._pieces:
            self._pieces[token] = self.decode([token])
        return self._pieces[token]


class _Batch:
    """The rows that still run, with their decoder: first all rows, then the contrast rows of the guided ones."""

    def __init__(self, network: Network, rows: list[_Row]) -> None:
        self.rows = rows
        self._chosen: Any = None
        prompts = [row.job.prompt for row in rows] + [row.job.contrast for row in rows if row.is_guided]
        unique = {prompt: place for place, prompt in enumerate(dict.fromkeys(prompts))}
        room = max(row.room for row in rows)
        self._decoder = network.start(list(unique), [unique[prompt] for prompt in prompts], room)
        self._set_columns()

    def draw(self) -> Any:
        """The next token of every row."""
        logits = self._decoder.logits
        plain = logits[: len(self.rows)]
        if self._guided:
            plain = plain.float()
            places = torch.tensor(self._guided, device=logits.device)
            plain[places] = guided(plain[places], logits[len(self.rows) :], self._guidance)
        self._chosen = draw(plain, self._temperature, self._top_p, [row.stream for row in self.rows])
        return self._chosen

    def advance(self) -> None:
        """Leave out the rows that are done, and compute the logits that follow the chosen tokens."""
        running = [i for i, row in enumerate(self.rows) if not row.done]
        if len(running) <= _COMPACT_AT * len(self.rows):
            self._shrink(running)
        if self.rows:
            tokens = np.concatenate([self._chosen, self._chosen[self._guided]]) if self._guided else self._chosen
            self._decoder.step(torch.as_tensor(tokens, device=self._decoder.logits.device))

    def _shrink(self, running: list[int]) -> None:
        contrast = {row: len(self.rows) + place for place, row in enumerate(self._guided)}
        kept = running + [contrast[row] for row in running if row in contrast]
        self.rows = [self.rows[i] for i in running]
        self._chosen = self._chosen[running]
        if self.rows:
            self._decoder.keep(torch.tensor(kept, device=self._decoder.logits.device))
        self._set_columns()

    def _set_columns(self) -> None:
        device = self._decoder.logits.device
        self._guided = [i for i, row in enumerate(self.rows) if row.is_guided]
        self._guidance = torch.tensor([self.rows[i].job.guidance for i in self._guided], device=device)
        self._temperature = torch.tensor([row.job.temperature for row in self.rows], device=device)
        self._top_p = torch.tensor([row.job.top_p for row in self.rows], device=device)
