"""The gate: a classifier that understands nothing must not find the matching answers. And each of its cues alone.

A plain cut at .05 above chance would stop one clean dataset of 200 items in seven; the gate closes only once the lower
end of the interval is above it, which stops fewer than one in a hundred (`tests/bench/bench_audit.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.audit import crossed, cues
from pipeline.audit.cues import word_count
from pipeline.audit.findings import CHANCE, MARGIN, Finding, above, absent
from pipeline.audit.sides import Sides
from pipeline.audit.wording import negations
from pipeline.statistics.intervals import Interval

GATE = "meaning-free cues"
SINGLE = (*cues.MEANING_FREE, "negation")
"""Cues that are examined alone; only together, and without negation, are they a gate."""


def find_cues(sides: Sequence[Sides], clusters: Sequence[int], plain: crossed.Task, enough: bool) -> list[Finding]:
    """The gate, then each group of features by itself; `plain` is the task with items as they are."""
    if not plain.can_be_told:
        reason = "all items have the same label" if len(sides) > 1 else "one item"
        alone = [absent(cue, reason, unit="accuracy") for cue in SINGLE]
        return [absent(GATE, reason, unit="accuracy", is_gate=True), *alone]
    seen = cues.columns(sides)
    value, interval = meaning_free_accuracy(sides, clusters, seen)
    gate = above(
        GATE,
        value,
        interval,
        n=len(sides),
        limit=CHANCE + MARGIN,
        is_gate=True,
        enough=enough,
        unit="accuracy",
        note=f"{', '.join(cues.MEANING_FREE)} together find the matching answer, negation aside; chance is {CHANCE}",
    )
    return [gate, *(_single(cue, sides, seen, plain, enough) for cue in SINGLE)]


def meaning_free_accuracy(
    sides: Sequence[Sides], clusters: Sequence[int], seen: cues.Cues | None = None
) -> tuple[float, Interval]:
    """Cross-validated accuracy of the classifier that sees only meaning-free features, with its interval.

    Of statements balanced accuracy: chance is one half whatever the shares of the labels.
    """
    task = crossed.task(sides, clusters, negation_aside=True)
    return crossed.accuracy((seen or cues.columns(sides)).of(*cues.MEANING_FREE), task)


def _single(cue: str, sides: Sequence[Sides], seen: cues.Cues, plain: crossed.Task, enough: bool) -> Finding:
    if not seen.groups[cue] or not np.any(seen.of(cue)[:, 1:]):
        return absent(cue, "the same for all items", unit="accuracy")
    value, interval = crossed.accuracy(seen.of(cue), plain)
    note = _direction(cue, sides)
    return above(cue, value, interval, n=len(sides), limit=CHANCE + MARGIN, enough=enough, unit="accuracy", note=note)


def _direction(cue: str, sides: Sequence[Sides]) -> str:
    """In words: what the matching answers have more of, where that is one number."""
    measures = {"length": ("words", word_count), "negation": ("negations", negations)}
    if cue not in measures:
        return "alone finds the matching answer"
    name, measure = measures[cue]
    rest = "; it carries meaning, and is no part of the gate" if cue == "negation" else ""
    stated = [each for each in sides if each.is_statement]
    yes, no = ([measure(each.stem) for each in stated if each.first_matches == label] for label in (True, False))
    if yes and no:
        return f'{name} a statement: {np.mean(yes):.1f} where "yes" matches, {np.mean(no):.1f} where "no" does{rest}'
    pairs = [(measure(each.matching), measure(each.other)) for each in sides if not each.is_statement]
    matching, other = np.mean(pairs, axis=0) if pairs else (0.0, 0.0)
    return f"{name} a choice: {matching:.1f} in the matching one, {other:.1f} in the other{rest}"
