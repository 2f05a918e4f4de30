"""What can be seen of an item without understanding it: columns of numbers, in groups, for a classifier.

Every group is a cue that is examined by itself; `MEANING_FREE` are those that the gate sees together.
Of a statement its own figures are given; of choices the difference between the two that are scored (first less
second), so that a column changes its sign when the choices change places, and the figures of the question as they are.
Negation is a group of its own: it carries meaning.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.audit.sides import Sides
from pipeline.audit.wording import OPENERS, negations, opener, plain

MEANING_FREE = ("length", "position", "punctuation", "casing", "opener class", "layout")
"""The groups that the gate sees."""

_COMMON_LAYOUTS = 4
_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
_MARKS = {
    ",": 3,
    ";": 1,
    ":": 1,
    '"': 2,
    "(": 1,
    "-": 2,
    "\u2013": 1,
    "\u2014": 1,
    "'": 2,
    "\u2026": 1,
    "$": 1,
    "%": 1,
    "/": 1,
}
"""Marks that are counted, each up to so many."""

_DENSE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]")
"""Scripts without spaces, of which each character counts as a word."""


@dataclass(frozen=True)
class Cues:
    """The columns of every item, and which of them belong to which group."""

    matrix: np.ndarray
    """Shape (items, columns); columns of statements are centred, columns of choices only scaled."""
    groups: dict[str, list[int]]

    def of(self, *names: str) -> np.ndarray:
        """The columns of some groups, with the one that tells statements from choices."""
        chosen = [column for name in ("kind", *names) for column in self.groups[name]]
        return self.matrix[:, chosen]


def word_count(text: str) -> int:
    """Words of a text; each character counts in scripts without spaces."""
    dense = len(_DENSE.findall(text))
    return dense + len(_WORD.findall(_DENSE.sub(" ", text) if dense else text))


def _length(text: str) -> list[float]:
    words = word_count(text)
    log = math.log1p(words)
    sentences = len(_SENTENCE_END.findall(text))
    return [
        log,
        log * log,
        math.log1p(len(text)),
        len(text) / max(words, 1),
        float(min(sentences, 4)),
        float(words > 0),
    ]


def _punctuation(text: str) -> list[float]:
    end = text[-1:]
    ends = [float(end == mark) for mark in ".!?"] + [float(bool(end) and not end.isalnum() and end not in ".!?")]
    return ends + [float(min(text.count(mark), most)) for mark, most in _MARKS.items()]


def _casing(text: str) -> list[float]:
    letters = [word for word in text[:20_000].split() if word != "I"]
    capitals = sum(word[:1].isupper() for word in letters[1:]) / max(len(letters) - 1, 1)
    shouted = sum(len(word) > 1 and word.isupper() for word in letters)
    first = next((c for c in text if c.isalpha()), "")
    return [float(first.islower()), capitals, float(min(shouted, 3))]


def _opener(text: str) -> list[float]:
    own = opener(text)
    return [float(own == name) for name in OPENERS]


def _white_space(text: str) -> list[float]:
    return [float("  " in text), float("\n" in text), float("\r" in text), float("\u2019" in text or "\u201c" in text)]


def _negation(text: str) -> list[float]:
    number = negations(text)
    return [float(number > 0), float(min(number, 3))]


_Features = Callable[[str], list[float]]
_SEEN: dict[str, _Features] = {
    "length": _length,
    "punctuation": _punctuation,
    "casing": _casing,
    "opener class": _opener,
    "layout": _white_space,
    "negation": _negation,
}


def columns(sides: Sequence[Sides]) -> Cues:
    """The columns of some items; those that never vary are left out."""
    texts = [(plain(each.stem), plain(each.first), plain(each.second)) for each in sides]
    blocks = {name: np.hstack([_of_stems(sides, see, texts), _of_choices(see, texts)]) for name, see in _SEEN.items()}
    blocks["layout"] = np.hstack([_layouts(sides), blocks["layout"]])
    blocks = {name: block[:, block.std(axis=0) > 0] for name, block in blocks.items()}
    is_statement = np.array([[float(each.is_statement)] for each in sides])
    blocks |= {"kind": is_statement, "position": 1 - is_statement}
    ends = np.cumsum([block.shape[1] for block in blocks.values()])
    groups = {
        name: list(range(end - block.shape[1], end)) for (name, block), end in zip(blocks.items(), ends, strict=True)
    }
    return Cues(np.hstack(list(blocks.values())), groups)


def _of_stems(sides: Sequence[Sides], measure: _Features, texts: Sequence[tuple[str, str, str]]) -> np.ndarray:
    """Figures of statements, and of the questions before choices, each centred over its own kind and scaled."""
    values = np.array([measure(stem) for stem, _, _ in texts], dtype=float)
    is_statement = np.array([each.is_statement for each in sides])
    for kind in (is_statement, ~is_statement):
        if kind.any():
            values[kind] -= values[kind].mean(axis=0)
    return _scaled(values)


def _of_choices(measure: _Features, texts: Sequence[tuple[str, str, str]]) -> np.ndarray:
    """First choice less second, and the sign of that: by how much may matter less than which."""
    pairs = [(measure(first), measure(second)) if first or second else None for _, first, second in texts]
    width = len(measure(""))
    less = np.array([np.subtract(*pair) if pair else np.zeros(width) for pair in pairs], dtype=float)
    return np.hstack([_scaled(less), np.sign(less)])


def _scaled(values: np.ndarray) -> np.ndarray:
    spread = np.sqrt((values**2).mean(axis=0))
    # A single huge text must not decide where the others stand.
    return np.asarray(np.clip(values / np.where(spread > 1e-12, spread, 1.0), -4.0, 4.0))


def _layouts(sides: Sequence[Sides]) -> np.ndarray:
    """Which of the commonest layouts an item has, centred over all items."""
    common = [layout for layout, _ in Counter(each.layout for each in sides).most_common(_COMMON_LAYOUTS)]
    values = np.array([[float(each.layout == layout) for layout in common] for each in sides])
    return np.asarray(values - values.mean(axis=0))
