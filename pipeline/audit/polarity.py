"""Whether the labels run the way the description says: a judge's opinion, and a comparison with gold items.

A file may be consistent and still label the opposite of what its name promises, as three of the published
human-written files do; no cue inside it can show that.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from pipeline import plugins
from pipeline.audit.findings import CHANCE, Finding, absent, below
from pipeline.audit.repeats import folded
from pipeline.audit.sides import Sides, take_apart
from pipeline.ports import Screening
from pipeline.schema import Item
from pipeline.statistics.intervals import Interval, t_quantile, wilson
from pipeline.statistics.similarity import clusters as near_duplicates

JUDGED, COMPARED = 50, 200
"""Items that a judge is asked about, and that are compared with gold items."""

JUDGE_CUE, GOLD_CUE = "polarity: judge", "polarity: gold"

FEWEST_GOLD = 4
NEARNESS = 0.15
"""Difference in cosine at which the vote of a gold item falls by a factor of e. "Yes" means one thing to "may we turn
you off?" and another to "would you mind?", so that near questions must count more. Between .03 and .15 the value was
chosen on the published risk files; all tell the three reversed files from the others."""

Opinion = Callable[[Sequence[Item]], list[float]]
"""Items -> natural-log odds that the matching answer is the one that such a subject would give."""

Embed = Callable[[Sequence[str]], np.ndarray]
"""Texts -> unit vectors, shape (n, d)."""


def opinion_of(screening: Screening) -> Opinion:
    """What the screening's judge thinks of labels, as the `preference` filter asks it. UsageError without a judge."""

    def opinion(items: Sequence[Item]) -> list[float]:
        if screening.judge is not None:
            screening.judge.task = "polarity"
        verdicts = plugins.load("filters", "preference").make().judge(items, screening)
        labels = [min(max(verdict.scores["label"], 1e-6), 1 - 1e-6) for verdict in verdicts]
        return [math.log(label / (1 - label)) for label in labels]

    return opinion


def stratified(items: Sequence[Item], n: int, seed: int = 0) -> list[Item]:
    """At most `n` items at random, as many of each label as can be, and one of each cluster of near-duplicates."""
    order = list(range(len(items)))
    random.Random(f"polarity {seed}").shuffle(order)
    sides = take_apart(items)
    cluster = near_duplicates([f"{each.stem} {each.first} {each.second}"[:2_000] for each in sides])
    rooms: dict[bool, list[int]] = defaultdict(list)
    seen: set[int] = set()
    for i in order:
        if cluster[i] not in seen:
            seen.add(cluster[i])
            rooms[sides[i].first_matches].append(i)
    turns = [i for pair in zip(*(rooms[side] for side in (True, False)), strict=False) for i in pair]
    rest = [i for i in order if i in {*rooms[True], *rooms[False]} and i not in set(turns)]
    return [items[i] for i in (turns if len(turns) >= n else [*turns, *rest])[:n]]


def judged(
    items: Sequence[Item], opinion: Opinion, name: str, sample: int = JUDGED, enough: bool = True, is_gate: bool = True
) -> Finding:
    """The share of a sample for which the judge holds the label to be right; a gate where that is clearly reversed."""
    asked = stratified(items, sample)
    if not asked:
        return not_judged("no items")
    odds = opinion(asked)
    right = sum(value > 0 for value in odds) + sum(value == 0 for value in odds) / 2
    interval = wilson(right, len(asked))
    return _polarity(JUDGE_CUE, right / len(asked), interval, len(asked), enough, f"{name} shares the label", is_gate)


def not_judged(reason: str) -> Finding:
    """The finding where no judge was asked."""
    return absent(JUDGE_CUE, f"not judged: {reason}", is_gate=True)


def no_gold() -> Finding:
    """The finding where there are no gold items."""
    return absent(GOLD_CUE, "no gold items given", is_gate=True)


def compared(items: Sequence[Item], gold: Sequence[Item], embed: Embed | None = None, enough: bool = True) -> Finding:
    """The share of a sample whose labels run as those of the gold items do, seen by the wording of their answers.

    An item agrees if the way from its other answer to the matching one points like that of the gold items, each
    weighted by how near its question is (for statements: if it lies on the side of the gold statements of its label).
    Texts are points in the space of their words and, with `embed`, of their meaning too. The interval adds the
    jackknife variance over the gold items to that of the sample, with Student's t of the gold items' degrees.
    """
    examples, sample = take_apart(gold), take_apart(stratified(items, COMPARED))
    form = examples[0].is_statement if examples else False
    examples, sample = ([each for each in sides if each.is_statement == form] for sides in (examples, sample))
    if len(examples) < FEWEST_GOLD or len(sample) < FEWEST_GOLD:
        return absent(GOLD_CUE, f"at least {FEWEST_GOLD} gold items and as many of their form are needed", is_gate=True)
    votes = _votes(examples, sample, embed)
    value, own = _agreement(votes), _agreement(_votes(examples, examples, embed, aside=True))
    without = np.array([_agreement(np.delete(votes, i, axis=1)) for i in range(len(examples))])
    spread = (len(without) - 1) / len(without) * float(((without - without.mean()) ** 2).sum())
    half = t_quantile(len(without) - 1) * math.sqrt(spread + value * (1 - value) / len(sample))
    interval = Interval(max(0.0, value - half), min(1.0, value + half))
    seen = "words and sentence embeddings" if embed else "words"
    note = (
        f"labels run as in the gold items, by {seen} (these find {100 * own:.0f} % of the gold items from the others)"
    )
    return _polarity(GOLD_CUE, value, interval, len(sample), enough, note)


def _polarity(
    cue: str, value: float, interval: Interval, n: int, enough: bool, note: str, is_gate: bool = True
) -> Finding:
    which = "; the labels run the other way" if interval.high < CHANCE else ""
    note += which or ("" if interval.low > CHANCE else "; cannot tell")
    return below(cue, value, interval, limit=CHANCE, n=n, is_gate=is_gate, enough=enough, note=note)


def _agreement(votes: np.ndarray) -> float:
    along = votes.mean(axis=1)
    return float(((along > 0) + (np.abs(along) < 1e-9) / 2).mean())


def _votes(gold: Sequence[Sides], sample: Sequence[Sides], embed: Embed | None, aside: bool = False) -> np.ndarray:
    """How far each gold item speaks for each label of the sample, shape (sample, gold); not for itself if `aside`."""
    everything = [*gold, *sample]
    ways = _ways(everything, None)
    if embed:
        ways = np.hstack([ways, _ways(everything, embed)])
    votes = ways[len(gold) :] @ ways[: len(gold)].T
    if not gold[0].is_statement:
        questions = _unit(_points([each.stem for each in everything], embed))
        likeness = questions[len(gold) :] @ questions[: len(gold)].T
        votes *= np.exp((likeness - likeness.max(axis=1, keepdims=True)) / NEARNESS)
    return np.asarray(votes * (1 - np.eye(len(gold))) if aside else votes)


def _ways(sides: Sequence[Sides], embed: Embed | None) -> np.ndarray:
    """The way from the other choice to the matching one, or from the mean statement to this one; turned for a "no"."""
    if sides[0].is_statement:
        points = _points([each.stem for each in sides], embed)
        signs = np.array([1.0 if each.first_matches else -1.0 for each in sides])
        return _unit((points - points.mean(axis=0)) * signs[:, None])
    points = _points([each.matching for each in sides] + [each.other for each in sides], embed)
    return _unit(points[: len(sides)] - points[len(sides) :])


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.where(lengths > 1e-9, vectors / np.maximum(lengths, 1e-9), 0.0))


def _points(texts: Sequence[str], embed: Embed | None) -> np.ndarray:
    texts = [text[:2_000] or "nothing" for text in texts]
    distinct = list(dict.fromkeys(texts))
    place = {text: i for i, text in enumerate(distinct)}
    points = embed(distinct) if embed else _words(distinct)
    return np.asarray(points, dtype=float)[[place[text] for text in texts]]


def _words(texts: Sequence[str]) -> np.ndarray:
    """Presence of each word that occurs in at least two texts, at most 2,000 of them."""
    sets = [set(folded(text).split()) for text in texts]
    counts = Counter(word for words in sets for word in words)
    known = {word: i for i, (word, count) in enumerate(counts.most_common(2_000)) if count > 1}
    points = np.zeros((len(texts), max(len(known), 1)))
    for row, words in enumerate(sets):
        points[row, [known[word] for word in words if word in known]] = 1.0
    return points
