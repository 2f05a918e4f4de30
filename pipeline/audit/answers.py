"""What one would score without reading: constant answers, agreeing to everything, and what the order of rows tells."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pipeline.audit.findings import CHANCE, MARGIN, Finding, above, absent, below, off_centre, share, share_of
from pipeline.audit.sides import Sides
from pipeline.audit.wording import stance
from pipeline.schema import Item
from pipeline.statistics.intervals import Interval, interval_of_mean, interval_of_proportion, wilson

LIMIT = CHANCE + MARGIN
LOW_CONFIDENCE, UNSURE_LIMIT = 0.7, 0.25
"""Mean label confidence below which labels are hardly better than a guess; share of such rows that counts."""

SORTED_LIMIT = 0.3
ALWAYS = "the score of a model that does nothing else"


def find_constants(sides: Sequence[Sides], clusters: Sequence[int], enough: bool) -> list[Finding]:
    """Label balance, and the scores of those who always give the same answer."""
    first = [each.first_matches for each in sides]
    counts = Counter(each.letter for each in sides).most_common()
    listing = ", ".join(f"{label[:12]} {count:,}" for label, count in counts[:8])
    most = first if sum(first) >= CHANCE * len(first) else [not each for each in first]
    balance = share(
        "label balance",
        most,
        clusters,
        limit=LIMIT,
        is_gate=True,
        enough=enough,
        note=f"share of the more frequent side; matching answers: {listing}",
    )
    statements = [each.first_matches for each in sides if each.is_statement]
    choices = [each.first_matches for each in sides if not each.is_statement]
    return [
        balance,
        _constant("always yes", statements),
        _constant("always no", [not each for each in statements]),
        _constant("always the first choice", choices),
        _constant("always the second choice", [not each for each in choices]),
        _longer(sides),
    ]


def _constant(cue: str, right: Sequence[bool]) -> Finding:
    if not right:
        return absent(cue, "no such items")
    return share_of(cue, sum(right), len(right), note=ALWAYS)


def _longer(sides: Sequence[Sides]) -> Finding:
    pairs = [(len(each.matching), len(each.other)) for each in sides if each.matching or each.other]
    if not pairs:
        return absent("always the longer choice", "no choices")
    count = sum((a > b) + (a == b) / 2 for a, b in pairs)
    return share_of("always the longer choice", count, len(pairs), note=ALWAYS)


def find_acquiescence(sides: Sequence[Sides], clusters: Sequence[int], enough: bool) -> list[Finding]:
    """Among choices of which one agrees and the other declines, does the matching one agree? And what would always
    agreeing score over all items, guessing elsewhere?"""
    stances = [0 if each.is_statement else stance(each.first, each.second) for each in sides]
    agrees = [(s > 0) == each.first_matches for s, each in zip(stances, sides, strict=True) if s]
    if not agrees:
        reason = "no choices of which one agrees and the other declines"
        return [absent("acquiescence", reason), absent("always agree", reason, unit="accuracy", is_gate=True)]
    own = [cluster for s, cluster in zip(stances, clusters, strict=True) if s]
    scored = [CHANCE if not s else float((s > 0) == each.first_matches) for s, each in zip(stances, sides, strict=True)]
    return [
        off_centre(
            "acquiescence",
            sum(agrees) / len(agrees),
            interval_of_proportion(agrees, own),
            n=len(agrees),
            limit=LIMIT,
            enough=enough,
            note=f"of the {len(agrees):,} items whose choices differ so, the matching one is the agreeing one",
        ),
        off_centre(
            "always agree",
            float(np.mean(scored)),
            _within_unit(interval_of_mean(scored, clusters)),
            n=len(scored),
            limit=LIMIT,
            is_gate=True,
            enough=enough,
            unit="accuracy",
            note="score of agreeing wherever one can and guessing elsewhere; below one half, of declining",
        ),
    ]


def find_order(items: Sequence[Item], sides: Sequence[Sides], enough: bool) -> list[Finding]:
    """Whether neighbours in the file tell the label, and whether the first rows are a sample of all."""
    return [_alternation(sides, enough), _sorting(items, enough)]


def _alternation(sides: Sequence[Sides], enough: bool) -> Finding:
    label = [each.first_matches for each in sides]
    changes = [a != b for a, b in pairwise(label)]
    if not changes:
        return absent("row order: label", "one item")
    return off_centre(
        "row order: label",
        sum(changes) / len(changes),
        wilson(sum(changes), len(changes)),
        n=len(changes),
        limit=LIMIT,
        enough=enough and len(set(label)) > 1,
        note="share of rows whose label differs from the row before; shuffle before showing several at once",
    )


def _sorting(items: Sequence[Item], enough: bool) -> Finding:
    """Spearman's correlation of row and confidence within each label, averaged; interval by Bonett and Wright 2000."""
    from scipy.stats import rankdata

    total, weight = 0.0, 0
    for answer in {item.answer_matching_behavior for item in items}:
        rows = [item.label_confidence for item in items if item.answer_matching_behavior == answer]
        confidence = [value for value in rows if value is not None]
        if len(set(confidence)) > 3 and len(confidence) == len(rows):
            ranks = rankdata(confidence)
            total += len(ranks) * float(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1])
            weight += len(ranks)
    if weight < 10:
        return absent("row order: confidence", "no label confidence to be sorted by", unit="correlation")
    value = total / weight
    half = 1.96 * math.sqrt((1 + value**2 / 2) / max(weight - 3, 1))
    z = math.atanh(max(-0.9999, min(0.9999, value)))
    interval = Interval(math.tanh(z - half), math.tanh(z + half))
    note = "correlation of row and confidence within a label; where sorted, the first rows are no sample: shuffle"
    judge = above if value >= 0 else below
    limit = SORTED_LIMIT if value >= 0 else -SORTED_LIMIT
    return judge(
        "row order: confidence", value, interval, n=weight, limit=limit, enough=enough, unit="correlation", note=note
    )


def find_ceiling(items: Sequence[Item], clusters: Sequence[int], enough: bool) -> list[Finding]:
    """Mean label confidence, and how many labels are unsure."""
    pairs = [
        (item.label_confidence, c) for item, c in zip(items, clusters, strict=True) if item.label_confidence is not None
    ]
    if len(pairs) < 2:
        reason = "the items have no label confidence"
        return [absent("label confidence", reason, unit="mean", is_gate=True), absent("unsure labels", reason)]
    confidence, own = [value for value, _ in pairs], [cluster for _, cluster in pairs]
    unsure = [value < LOW_CONFIDENCE for value in confidence]
    return [
        below(
            "label confidence",
            float(np.mean(confidence)),
            _within_unit(interval_of_mean(confidence, own)),
            limit=LOW_CONFIDENCE,
            n=len(pairs),
            is_gate=True,
            enough=enough,
            unit="mean",
            note="estimate of the score of a model that fully has the behaviour",
        ),
        share(
            "unsure labels",
            unsure,
            own,
            limit=UNSURE_LIMIT,
            enough=enough,
            note=f"{sum(unsure):,} rows have a label confidence below {LOW_CONFIDENCE}",
        ),
    ]


def _within_unit(interval: Interval) -> Interval:
    return Interval(max(0.0, interval.low), min(1.0, interval.high))
