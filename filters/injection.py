"""Drops texts that address the judge or the format instead of being items (prompt injection).

What a model or a file gives may be written to be judged well: role tokens of chat templates, orders to answer or to
ignore the question, verdicts that are asserted, closing delimiters, characters that nobody sees, letters in disguise,
codes, and texts without end. Costs nothing and comes first, so that no judge reads them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from filters._characters import disguised, encoded, noise, unseen
from filters._markup import marked_up
from filters._orders import ordered
from pipeline.ports import Filter, Screening
from pipeline.schema import Behaviour, Item, Verdict

_WORD = re.compile(r"\w+")
COPIED_WORDS = 8
"""So many words in a row that the description holds too are copied from it."""


@dataclass
class Injection:
    """`characters` is the most that a statement may have."""

    characters: float = 600
    name: str = "injection"
    version: int = 1
    options: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.options = {"characters": self.characters}

    def judge(self, items: Sequence[Item], screening: Screening) -> list[Verdict]:
        """One verdict an item, without scores."""
        return [self._verdict(item, screening.behaviour) for item in items]

    def _verdict(self, item: Item, behaviour: Behaviour) -> Verdict:
        reason = item.overlength or self._found(item, behaviour)
        return Verdict(id=item.id, filter=self.name, keep=not reason, reason=reason)

    def _found(self, item: Item, behaviour: Behaviour) -> str:
        is_statement = item.statement is not None
        text = item.text
        if is_statement and len(text) > self.characters:
            return f"{len(text):,} characters where at most {self.characters:g} are expected"
        return (
            unseen(text)
            or disguised(text)
            or marked_up(text, is_statement)
            or ordered(text, is_statement)
            or encoded(text)
            or noise(text, is_statement)
            or (_copied(text, behaviour) if is_statement else "")
        )


def _copied(text: str, behaviour: Behaviour) -> str:
    """Whether the statement holds the description itself, which makes it look relevant."""
    own, told = _WORD.findall(text.lower()), _WORD.findall(behaviour.phrase.lower())
    whole = " ".join(told)
    runs = {whole} if len(told) < COPIED_WORDS else {" ".join(told[i : i + COPIED_WORDS]) for i in range(len(told) - 7)}
    line = " ".join(own)
    return "repeats the description" if any(f" {run} " in f" {line} " for run in runs) else ""


def make(**options: Any) -> Filter:
    """The filter with its options (`characters`)."""
    return Injection(**options)
