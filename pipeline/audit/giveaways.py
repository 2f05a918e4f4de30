"""What gives an answer away or makes items unlike each other: hints, quotations, layout, unreadable choices."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipeline.audit import crossed
from pipeline.audit.findings import CHANCE, MARGIN, Finding, above, absent, share, share_of
from pipeline.audit.repeats import folded
from pipeline.audit.sides import Sides
from pipeline.schema import Behaviour, Item

HINT_LIMIT, QUOTED_LIMIT, LAYOUT_LIMIT, UNREADABLE_LIMIT = 0.01, 0.1, 0.05, 0.01
QUOTED_WORDS = 4
"""Words of the description in a row that are a quotation."""

_HINT = re.compile(
    r"[(\[*](?:correct|right|matching|true|best|desired|expected|intended)(?: (?:answer|choice|option))?[)\]*]"
    r"|\b(?:correct|right|matching|expected|intended) (?:answer|choice|option)(?: here)? (?:is|would be|:)"
    r"|\banswer_(?:not_)?matching|\blabel ?[:=]|[\u2713\u2714\u2705]"
    r"|\b(?:this|that) (?:is|would be) the (?:correct|right|matching|expected) (?:answer|choice|option)"
    r"|\b(?:answer|say|choose|pick|select) (?:with )?[\"'(]?(?:yes|no|[A-H])[\"')](?=\W|$)",
    re.I,
)


def find_giveaways(
    items: Sequence[Item],
    sides: Sequence[Sides],
    behaviour: Behaviour | None,
    given: crossed.Task,
    enough: bool,
) -> list[Finding]:
    """Hints in the text, the description's own words, choices that echo the question, and the layout."""
    return [
        _hints(sides, enough),
        _quotations(sides, behaviour, given.clusters, enough),
        _echo(sides, given, enough),
        _layout(sides, given.clusters, enough),
        _answer_form(items, enough),
        _unreadable(sides, enough),
    ]


def _hints(sides: Sequence[Sides], enough: bool) -> Finding:
    hinted = [
        each for each in sides if any(_HINT.search(text[:20_000]) for text in (each.stem, each.first, each.second))
    ]
    example = f", such as {hinted[0].stem[:60]!r}" if hinted else ""
    return share_of(
        "answer leakage",
        len(hinted),
        len(sides),
        limit=HINT_LIMIT,
        is_gate=True,
        enough=enough,
        note=f"{len(hinted):,} items name the right answer in their text{example}",
    )


def _quotations(sides: Sequence[Sides], behaviour: Behaviour | None, clusters: np.ndarray, enough: bool) -> Finding:
    words = folded(behaviour.predicate).split() if behaviour else []
    if len(words) < 2:
        return absent("description quoted", "no description to compare with, or one of a single word")
    size = min(QUOTED_WORDS, len(words))
    runs = {f" {' '.join(words[i : i + size])} " for i in range(len(words) - size + 1)}
    quoted = [any(run in f" {folded(each.stem)} " for run in runs) for each in sides]
    return share(
        "description quoted",
        quoted,
        [int(c) for c in clusters],
        limit=QUOTED_LIMIT,
        enough=enough,
        note=f"{sum(quoted):,} items hold {size} words of the description in a row",
    )


def _echo(sides: Sequence[Sides], given: crossed.Task, enough: bool) -> Finding:
    """Whether the choice that repeats more, or less, of the question's words is the matching one."""
    if not any(each.first for each in sides) or not given.can_be_told:
        return absent("question echoed", "no choices, or only one label", unit="accuracy")
    echoes = np.array([[_shared(each.stem, each.first) - _shared(each.stem, each.second)] for each in sides])
    value, interval = crossed.accuracy(np.hstack([echoes, np.sign(echoes)]), given)
    note = "whether the choice that repeats more, or fewer, of the question's words is the matching one"
    limit = CHANCE + MARGIN
    return above(
        "question echoed", value, interval, n=len(sides), limit=limit, enough=enough, unit="accuracy", note=note
    )


def _shared(stem: str, choice: str) -> float:
    words = set(folded(choice[:5_000]).split())
    return len(words & set(folded(stem[:20_000]).split())) / max(len(words), 1)


def _layout(sides: Sequence[Sides], clusters: np.ndarray, enough: bool) -> Finding:
    counts = Counter(each.layout for each in sides).most_common()
    usual = counts[0][0]
    odd = [each.layout != usual for each in sides]
    listing = ", ".join(f"{layout[:60]!r} {100 * count / len(sides):.0f} %" for layout, count in counts[:3])
    return share(
        "inconsistent layout",
        odd,
        [int(c) for c in clusters],
        limit=LAYOUT_LIMIT,
        enough=enough,
        note=f"rows unlike the commonest of {len(counts):,} layouts: {listing}",
    )


def _answer_form(items: Sequence[Item], enough: bool) -> Finding:
    forms = [" " if all(answer.startswith(" ") for answer in item.options) else "" for item in items]
    usual = Counter(forms).most_common(1)[0][0]
    odd = sum(form != usual for form in forms)
    return share_of(
        "answer form",
        odd,
        len(forms),
        limit=0.0,
        is_gate=True,
        enough=enough,
        note=f"the answers of most items begin {'with' if usual else 'without'} a space, those of {odd:,} do not; "
        "it is part of what is scored",
    )


def _unreadable(sides: Sequence[Sides], enough: bool) -> Finding:
    lettered = [each for each in sides if not each.is_statement and re.fullmatch("[A-Z]", each.letter)]
    if not lettered:
        return absent("unreadable choices", "no lettered choices")
    count = sum(not (each.first and each.second) for each in lettered)
    return share_of(
        "unreadable choices",
        count,
        len(lettered),
        limit=UNREADABLE_LIMIT,
        enough=enough,
        note=f"the texts of {count:,} items' choices are not found in the question",
    )
