"""What the local engine is asked and gives: token ids in, numbers and token ids out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Tokens = Sequence[int]


@dataclass(frozen=True)
class Question:
    """A prompt and its options, as token ids; one token or more each."""

    prompt: tuple[int, ...]
    options: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Job:
    """One continuation to sample. `contrast` is the other prompt of guided decoding, () for none."""

    prompt: tuple[int, ...]
    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0
    index: int = 0
    contrast: tuple[int, ...] = ()
    guidance: float = 0.0


@dataclass(frozen=True)
class Row:
    """A whole dialog as a reward model reads it. `segments` is as long as `tokens`, or () where there is only one."""

    tokens: tuple[int, ...]
    segments: tuple[int, ...] = ()


@dataclass(frozen=True)
class Text:
    """What a job gave: text without its stop string, number of tokens, and whether it ended by itself."""

    text: str
    tokens: int
    stopped: bool


class Decoder(Protocol):
    """Rows that grow by a token at a time. `logits` has shape (rows, vocabulary)."""

    logits: Any

    def step(self, tokens: Any) -> None:
        """Append one token a row, shape (rows,), and compute the logits of the next."""

    def keep(self, rows: Any) -> None:
        """Drop all rows but these."""


class Network(Protocol):
    """A causal language model as the engine uses it."""

    context: int
    depth: int
    """Number of layers."""

    def score(self, questions: Sequence[Question], layer: int | None = None) -> tuple[list[list[float]], Any]:
        """Natural-log probability of each option, the sum over its tokens; with `layer` also the state of each
        prompt's last token after that many layers, float32 of shape (questions, width), else None."""

    def start(self, prompts: Sequence[Tokens], owners: Sequence[int], room: int) -> Decoder:
        """A decoder with a row an owner, continuing `prompts[owner]`, with room for so many new tokens."""
