"""An item taken apart: what is asked, the texts of its two answers in the order listed, and how all that is laid out.

Statements are answered with one of two fixed words (yes or no), choices with the letter of a text in the question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.schema import Item

_FIRST_WORDS, _SECOND_WORDS = {"yes", "true", "agree"}, {"no", "false", "disagree"}
_LETTER = re.compile(r"\s*\(?([A-Z])[).:]?\s*")
_LINE_MARK = re.compile(r"^[ \t]*(?:\(([A-Z])\)|([A-Z])[).:])", re.M)
_INLINE_MARK = re.compile(r"(?<!\w)\(([A-Z])\)")
_HEADER = re.compile(r"(?:answer )?(?:choices|options) ?:\Z", re.I)
_TAIL = re.compile(r"\n(?:the |my )?answer(?: is)? ?:?\Z", re.I)
_PREFIX = re.compile(r"(?:question|q|human|user|prompt) ?: ?", re.I)
_NEAR = 40
"""Characters beside the choices in which a heading or a call for the answer is looked for."""


@dataclass(frozen=True)
class Sides:
    """One item; `first` is the answer listed first (or "yes"), `second` the other of the two that are scored."""

    stem: str
    """The statement, or the question without its choices."""
    first: str
    second: str
    """Texts of the two answers; empty for a statement."""
    first_matches: bool
    is_statement: bool
    listed: int
    """Choices listed in the question; 0 where none could be read."""
    layout: str
    """Everything between the texts: headings, white space, marks. The same for items written alike."""
    letter: str
    """The matching answer without white space and brackets: "A", "yes"."""

    @property
    def matching(self) -> str:
        """Text of the matching answer."""
        return self.first if self.first_matches else self.second

    @property
    def other(self) -> str:
        """Text of the answer that does not match."""
        return self.second if self.first_matches else self.first


def take_apart(items: Sequence[Item]) -> list[Sides]:
    """The sides of each item, in order. Nothing is turned down: what cannot be read counts by its answers alone."""
    return [_sides(item) for item in items]


def _sides(item: Item) -> Sides:
    matching, other = item.answer_matching_behavior.strip(), item.answer_not_matching_behavior.strip()
    words = {matching.lower().rstrip("."), other.lower().rstrip(".")}
    if len(words) == 2 and words & _FIRST_WORDS and words & _SECOND_WORDS:
        return _statement(item, matching.lower().rstrip("."))
    letters = [_LETTER.fullmatch(answer) for answer in (matching, other)]
    if letters[0] and letters[1]:
        return _lettered(item, letters[0][1], letters[1][1])
    first, second = item.options
    layout = f"{_prefix(item.question)}…" + _outer_space(item)
    is_first = item.answer_matching_behavior == first
    return Sides(item.text.strip(), first.strip(), second.strip(), is_first, False, 0, layout, matching[:40])


def _statement(item: Item, word: str) -> Sides:
    stated = item.statement or _quoted(item.question)
    place = item.question.rfind(stated)
    around = item.question[:place] + "…" + item.question[place + len(stated) :] if place >= 0 else "…"
    layout = (around if len(around) <= 200 else "…") + _outer_space(item)
    return Sides(stated.strip(), "", "", word in _FIRST_WORDS, True, 0, layout, word)


def _quoted(question: str) -> str:
    """What stands between the first and the last quotation mark, or else the whole question."""
    start, end = question.find('"'), question.rfind('"')
    return question[start + 1 : end] if 0 <= start < end - 1 else question


def _lettered(item: Item, matching: str, other: str) -> Sides:
    marks = _marks(item.question)
    texts, layout = {}, "no choices"
    stem = item.question
    if marks:
        head, tail = _header_start(item.question[: marks[0][1]]), _tail_start(item.question, marks[-1][2])
        ends = [start for _, start, _ in marks[1:]] + [tail]
        stem = item.question[:head]
        raw = {letter: item.question[end:until] for (letter, _, end), until in zip(marks, ends, strict=True)}
        texts = {letter: text.strip() for letter, text in raw.items()}
        gaps = "".join(sorted({_edges(text) for text in raw.values()}))
        layout = f"{_prefix(stem)}…{item.question[head : marks[0][2]]}{gaps}{item.question[tail:]}"
    first, second = sorted((matching, other))
    return Sides(
        stem=stem[len(_prefix(stem)) :].strip(),
        first=texts.get(first, ""),
        second=texts.get(second, ""),
        first_matches=matching == first,
        is_statement=False,
        listed=len(texts),
        layout=layout + _outer_space(item),
        letter=matching,
    )


def _marks(question: str) -> list[tuple[str, int, int]]:
    """(letter, start, end) of the marks of the last list of choices: those that begin a line, else any."""
    for pattern in (_LINE_MARK, _INLINE_MARK):
        found = [(next(filter(None, mark.groups())), mark.start(), mark.end()) for mark in pattern.finditer(question)]
        starts = [i for i, (letter, _, _) in enumerate(found) if letter == "A"]
        run = found[starts[-1] : starts[-1] + 1] if starts else []
        for mark in found[starts[-1] + 1 :] if starts else ():
            if ord(mark[0]) == ord(run[-1][0]) + 1:
                run.append(mark)
        if len(run) > 1:
            return run
    return []


def _header_start(before: str) -> int:
    """Where the question ends and what leads to its choices begins: white space, and "Choices:" if it is there."""
    text = before.rstrip()
    found = _HEADER.search(text[-_NEAR:])
    return len(text[: len(text) - len(found[0])].rstrip() if found else text)


def _tail_start(question: str, start: int) -> int:
    """Where the last choice, begun at `start`, ends: before the closing white space, and "Answer:" if it is there."""
    text = question[start:].rstrip()
    found = _TAIL.search(text[-_NEAR:])
    return start + len(text[: len(text) - len(found[0])].rstrip() if found else text)


def _edges(text: str) -> str:
    """The white space around a text."""
    inner = text.strip()
    return f"{text[: len(text) - len(text.lstrip())]}·{text[len(text.rstrip()) :]}" if inner else "·"


def _prefix(question: str) -> str:
    found = _PREFIX.match(question)
    return found[0] if found else ""


def _outer_space(item: Item) -> str:
    """The white space before the answers, which is part of what is scored."""
    answers = (item.answer_matching_behavior, item.answer_not_matching_behavior)
    return "|" + "|".join(sorted({answer[: len(answer) - len(answer.lstrip())] for answer in answers}))
