"""The spot-check in a terminal: one item, one key. What is read and written comes in, so it runs without a terminal."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.review import labels as store
from pipeline.review.accuracy import figures
from pipeline.review.sample import stratified
from pipeline.review.words import in_words
from pipeline.schema import Behaviour, Item, Label, RaterKind

WIDTH = 88
"""Columns used where the terminal has as many."""

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b\\|$)|[ -/]*[0-~])|\x9b[0-?]*[ -/]*[@-~]", re.S
)
_REORDERING = {*"\u061c\u200e\u200f\u2028\u2029", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}

_OPEN_KEYS = "[r]ight  [w]rong  [o]ff topic  [u]nclear    [n]ote  [b]ack  [q]uit"
_BLIND_KEYS = "[o]ff topic  [u]nclear    [c]omment  [b]ack  [q]uit"
_VERDICTS: dict[str, tuple[Literal["right", "wrong", "unclear"], Literal["on_topic", "off_topic", "unclear"]]] = {
    "r": ("right", "on_topic"),
    "w": ("wrong", "on_topic"),
    "o": ("unclear", "off_topic"),
    "u": ("unclear", "unclear"),
}


@dataclass
class SpotCheck:
    """One rater's pass over a sample of one dataset."""

    items: Sequence[Item]
    behaviour: Behaviour | None
    path: Path
    """labels.jsonl, made at the first label."""
    rater: str
    read_key: Callable[[], str]
    """The next key, as one character; "" at the end of the input. Notes end with a line end."""
    write: Callable[[str], None]
    """Takes text as it is; no line end is added."""
    now: Callable[[], str]
    """The time to record, ISO 8601."""
    sample: int = 20
    seed: int = 0
    width: int = WIDTH
    """Columns of the screen."""
    blind: bool = False
    """Hide the dataset's label: the rater says which answer shows the behaviour."""
    rater_kind: RaterKind = "person"
    _given: list[Label] = field(default_factory=list, init=False)

    def run(self) -> list[Label]:
        """Asks for every item of the sample that this rater has not labelled, until done or quit.

        Returns all labels of the file. Raises UsageError for a broken file.
        """
        chosen = stratified(self.items, self.sample, self.seed)
        given = store.read(self.path)
        mine = {label.id: label for label in given if (label.rater, label.rater_kind) == (self.rater, self.rater_kind)}
        self._given = [mine[item.id] for item in chosen if item.id in mine]
        self._introduce(len(chosen))
        while (item := self._next(chosen)) is not None:
            if not self._ask(item, len(self._given) + 1, len(chosen)):
                self.write("\nStopped; the labels so far are stored, and the same command goes on from here.\n")
                break
        found = store.read(self.path)
        self.write("\n")
        for sentence in in_words(figures(found, self.items), len({item.id for item in self.items})):
            self._write_wrapped(sentence)
            self.write("\n")
        return found

    def _next(self, chosen: Sequence[Item]) -> Item | None:
        done = {label.id for label in self._given}
        return next((item for item in chosen if item.id not in done), None)

    def _introduce(self, count: int) -> None:
        if self.behaviour is not None:
            self._write_wrapped(f"Behaviour: {self.behaviour.description}\n")
        if self._given:
            self.write(f"{len(self._given)} of {count} items are labelled already by {visible(self.rater)}.\n")

    def _ask(self, item: Item, place: int, count: int) -> bool:
        """Takes keys until the item has a label or the rater went back; False to stop."""
        self._show(item, place, count)
        note = ""
        while key := self.read_key().lower():
            if key == "q":
                return False
            if key == ("c" if self.blind else "n"):
                note = self._note()
            elif key == "b":
                if self._go_back():
                    return True
            elif (label := self._label(item, key, note)) is not None:
                store.append(self.path, label)
                self._given.append(label)
                self.write(f"  {_outcome(label)}{self._reveal(item)}\n")
                return True
        return False

    def _show(self, item: Item, place: int, count: int) -> None:
        self.write(f"\n{f' {place}/{count} ':-^{self.width}}\n")
        self._write_wrapped(f"{item.question}\n\n")
        if self.blind:
            first, second = (visible(option).strip() for option in item.options)
            self._write_wrapped(f"Which answer shows the behaviour?  [y] {first}  [n] {second}\n{_BLIND_KEYS}\n")
            return
        self._write_wrapped(f"Shows the behaviour: {item.answer_matching_behavior.strip()}\n{_OPEN_KEYS}\n")

    def _write_wrapped(self, text: str) -> None:
        lines = visible(text).expandtabs(4).split("\n")
        self.write("\n".join(textwrap.fill(line, self.width) for line in lines))

    def _label(self, item: Item, key: str, note: str) -> Label | None:
        if self.blind and key in ("y", "n"):
            key = "r" if item.options[key == "n"] == item.answer_matching_behavior else "w"
        elif self.blind and key in ("r", "w"):
            return None
        if key not in _VERDICTS:
            return None
        verdict, relevance = _VERDICTS[key]
        return Label(
            id=item.id,
            label=verdict,
            relevance=relevance,
            note=note,
            rater=self.rater,
            rater_kind=self.rater_kind,
            time=self.now(),
        )

    def _reveal(self, item: Item) -> str:
        return f" (the dataset says {visible(item.answer_matching_behavior).strip()})" if self.blind else ""

    def _go_back(self) -> bool:
        """Takes the last label back, so that its item comes again; False where there is none."""
        if not self._given:
            self.write("There is nothing to go back to.\n")
            return False
        store.take_back(self.path, self._given.pop())
        return True

    def _note(self) -> str:
        self.write("Note: ")
        text = ""
        while (key := self.read_key()) not in ("", "\n", "\r"):
            if key in ("\x7f", "\b"):
                if text:
                    text = text[:-1]
                    self.write("\b \b")
            elif visible(key):
                text += key
                self.write(key)
        self.write("\n")
        return text.strip()


def visible(text: str) -> str:
    """The text without what a terminal would obey: escape sequences, control characters, reversed reading order.

    Line ends and tabs stay.
    """
    return "".join(
        c
        for c in _ESCAPES.sub("", text)
        if c in "\n\t" or (unicodedata.category(c) not in ("Cc", "Cs") and c not in _REORDERING)
    )


def _outcome(label: Label) -> str:
    return "off topic" if label.relevance == "off_topic" else label.label
