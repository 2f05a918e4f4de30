"""The audit: every cue of a dataset with its interval, and a gate that stops what a cheap cue gives away.

Nothing here asks a model; `polarity.py` does, and adds its findings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.audit import crossed, cues
from pipeline.audit.answers import find_acquiescence, find_ceiling, find_constants, find_order
from pipeline.audit.cues import word_count
from pipeline.audit.findings import CHANCE, FEWEST, MARGIN, Audit, Finding, above, absent, verdict
from pipeline.audit.giveaways import find_giveaways
from pipeline.audit.repeats import find_moulds, find_repeats
from pipeline.audit.sides import Sides, take_apart
from pipeline.audit.topics import find_words
from pipeline.audit.wording import negations
from pipeline.schema import Behaviour, Item
from pipeline.statistics.similarity import clusters as near_duplicates

GATE = "meaning-free cues"
"""The classifier that the gate is made of."""

_SINGLE = ("length", "position", "punctuation", "casing", "opener class", "layout", "negation")


def examine(items: Sequence[Item], behaviour: Behaviour | None = None, extra: Sequence[Finding] = ()) -> Audit:
    """Audit a dataset; `behaviour` is needed for quotations of the description, `extra` are findings made elsewhere.

    Below `FEWEST` items every figure is given and none stops the dataset.
    """
    if not items:
        return Audit(passed=True, findings=[])
    enough = len(items) >= FEWEST
    sides = take_apart(items)
    clusters = near_duplicates([_words_of(each) for each in sides])
    plain = crossed.task(sides, clusters)
    return verdict(
        [
            *_find_cues(sides, clusters, plain, enough),
            *find_constants(sides, clusters, enough),
            *find_acquiescence(sides, clusters, enough),
            *find_repeats(items, sides, clusters, enough),
            *find_moulds(sides, enough),
            *find_giveaways(items, sides, behaviour, plain, enough),
            *find_order(items, sides, enough),
            *find_ceiling(items, clusters, enough),
            *find_words(sides, plain, enough),
            *extra,
        ]
    )


def _words_of(each: Sides) -> str:
    return f"{each.stem} {each.first} {each.second}"[:20_000]


def _find_cues(sides: Sequence[Sides], clusters: Sequence[int], plain: crossed.Task, enough: bool) -> list[Finding]:
    """The gate, then each group of features by itself."""
    if not plain.can_be_told:
        reason = "all items have the same label" if len(sides) > 1 else "one item"
        return [
            absent(GATE, reason, unit="accuracy", is_gate=True),
            *(absent(cue, reason, unit="accuracy") for cue in _SINGLE),
        ]
    seen = cues.columns(sides)
    aside = crossed.task(sides, clusters, negation_aside=True)
    value, interval = crossed.accuracy(seen.of(*cues.MEANING_FREE), aside)
    return [
        above(
            GATE,
            value,
            interval,
            n=len(sides),
            limit=CHANCE + MARGIN,
            is_gate=True,
            enough=enough,
            unit="accuracy",
            note="a classifier that sees only "
            + ", ".join(cues.MEANING_FREE)
            + f" finds the matching answer; chance is {CHANCE}",
        ),
        *(_single(cue, sides, seen, plain, enough) for cue in _SINGLE),
    ]


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
    yes, no = (
        [measure(each.stem) for each in sides if each.is_statement and each.first_matches == own]
        for own in (True, False)
    )
    if yes and no:
        return f'{name} a statement: {np.mean(yes):.1f} where "yes" matches, {np.mean(no):.1f} where "no" does{rest}'
    pairs = [(measure(each.matching), measure(each.other)) for each in sides if not each.is_statement]
    matching, other = np.mean(pairs, axis=0) if pairs else (0.0, 0.0)
    return f"{name} a choice: {matching:.1f} in the matching one, {other:.1f} in the other{rest}"
