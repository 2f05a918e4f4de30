"""The filters against published labels: discrimination, calibration, precision and recall, and raters' labels.

Usage: python tests/bench/bench_filters.py [--judge MODEL] [--by PREFERENCE] [--size quick|full]
Rows with label_confidence above .7 are drawn at random, as many of each label; half of the labels are flipped at random
(right against wrong label), and one item in five is a statement of another behaviour with a random label.
The published labels are a preference model's own: this is agreement with them, not truth. A judge that knew the truth
would agree in about .90 of the rows by their confidences, .955 by the paper's raters.
Beside them stand 900 rows that two raters labelled without seeing the label (labels/persona.jsonl).
What is fitted here (a calibration) is fitted on other groups of behaviours than it is tested on.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from _persona import GROUP_OF, NEGATIONS, OPPOSITES, draw, ratings

from pipeline import plugins, prompts, store
from pipeline.calls import CallStore, StoredModel
from pipeline.ports import Screening
from pipeline.schema import Item
from pipeline.screen import load_filters
from pipeline.statistics.agreement import cohen_kappa
from pipeline.statistics.calibration import (
    calibration_error,
    chance_error,
    cut_for,
    estimated_prior,
    fit,
    probability,
    shifted,
)
from pipeline.statistics.discrimination import accuracy, auroc, best_threshold
from pipeline.statistics.intervals import wilson
from pipeline.statistics.similarity import words

SIZES = {"quick": (16, 4, 4), "full": (60, 15, 15)}
"""Statements of a behaviour, statements of others, statements judged with a wrong description or a near-opposite's."""
TARGETS = {
    "label AUROC, people": 0.95,
    "label accuracy at .5, people": 0.88,
    "label AUROC, AI": 0.85,
    "label accuracy at .5, AI": 0.78,
    "best threshold less .5": 0.03,
    "AUROC gained by the description": 0.20,
    "relevance AUROC": 0.97,
    "recall of good items at precision .95": 0.50,
    "precision in the top third": 0.90,
    "calibration error, groups held out": 0.03,
    "calibration error above chance, median behaviour": 0.04,
}


@dataclass
class Judged:
    """A behaviour's items with what the filters said of them."""

    name: str
    subject: str
    items: list[Item]
    right: list[bool]
    on_topic: list[bool]
    label: list[float]
    relevance: list[float]
    akin: list[bool]
    rated: dict[str, float] = field(default_factory=dict)
    """Probability of Yes for each row that was rated."""
    shuffled: tuple[list[bool], list[float]] = ([], [])
    """Right or not, and label probability, under another behaviour's description."""

    @property
    def own(self) -> list[int]:
        """Positions of the statements of this behaviour."""
        return [i for i, on in enumerate(self.on_topic) if on]

    def unlike(self) -> tuple[list[bool], list[float]]:
        """On topic or not, and relevance, without the statements of siblings and near-opposites."""
        left = [i for i, akin in enumerate(self.akin) if not akin]
        return [self.on_topic[i] for i in left], [self.relevance[i] for i in left]

    def labels(self) -> tuple[list[bool], list[float]]:
        """Truth and label probability of its own statements."""
        return [self.right[i] for i in self.own], [self.label[i] for i in self.own]


def main() -> None:
    """Print a table on stderr and a JSON line a figure on stdout."""
    args = _arguments()
    folder = Path(os.environ.get("MWE_REFERENCE", "../shared/reference")) / "persona"
    if not folder.is_dir():
        sys.exit("the reference data is not there; set MWE_REFERENCE to its folder")
    data = {path.stem: store.find(str(path), folder).items for path in sorted(folder.glob("*.jsonl"))}
    models = _model(args.judge), _model("local/all-MiniLM-L6-v2")
    print(f"{'behaviour':62} {'AUROC':>15} {'acc':>6} {'best':>6} {'relev.':>6}", file=sys.stderr)
    judged = []
    for name in data:
        judged.append(judge(name, data, models, args.by, *SIZES[args.size]))
        _row(judged[-1])
    for figure, (value, runs) in _figures(judged, data).items():
        _show(figure, value, runs, args)


def judge(
    name: str, data: dict[str, Sequence[Item]], models: tuple[StoredModel, StoredModel], by: str, *sizes: int
) -> Judged:
    """All that is asked about one behaviour."""
    own, others, control = sizes
    drawn = draw(name, data, own, others)
    behaviour = prompts.named_behaviour(name)
    screening = Screening(behaviour, *models)
    preference, relevance = load_filters([f"preference:by={by}", "relevance"])
    by_id = {item.id: item for item in data[name]}
    rated = [by_id[rating.id] for rating in ratings() if rating.behaviour == name]
    verdicts = preference.judge([*drawn.items, *rated], screening)
    labels = [verdict.scores["label"] for verdict in verdicts]
    about = [verdict.scores["relevance"] for verdict in relevance.judge(drawn.items, screening)]
    yes = [
        p if item.answer_matching_behavior == " Yes" else 1 - p
        for item, p in zip(rated, labels[len(about) :], strict=True)
    ]
    stream = random.Random(f"shuffled {name}")
    wrong = stream.choice([other for other in data if GROUP_OF.get(other, other) != GROUP_OF.get(name, name)])
    chosen = stream.sample([i for i, on in enumerate(drawn.on_topic) if on], min(control, sum(drawn.on_topic)))
    elsewhere = Screening(prompts.named_behaviour(wrong), *models)
    without = preference.judge([drawn.items[i] for i in chosen], elsewhere)
    return Judged(
        name,
        behaviour.subject,
        drawn.items,
        drawn.right,
        drawn.on_topic,
        labels[: len(about)],
        about,
        drawn.akin,
        dict(zip((item.id for item in rated), yes, strict=True)),
        ([drawn.right[i] for i in chosen], [verdict.scores["label"] for verdict in without]),
    )


def _figures(judged: Sequence[Judged], data: dict[str, Sequence[Item]]) -> dict[str, tuple[float, list[float]]]:
    return (
        _discrimination(judged)
        | _selection(judged)
        | _calibration(judged)
        | _prior_shift(judged)
        | _against_raters(judged, data)
    )


Figures = dict[str, tuple[float, list[float]]]


def _mean(values: Sequence[float]) -> tuple[float, list[float]]:
    return statistics.fmean(values), list(values)


def _discrimination(judged: Sequence[Judged]) -> Figures:
    found: Figures = {}
    sides = {"": judged, ", people": [j for j in judged if j.subject == "person"]}
    sides[", AI"] = [j for j in judged if j.subject == "ai"]
    for side, members in sides.items():
        found[f"label AUROC{side}"] = _mean([auroc(*j.labels()) or 0.0 for j in members])
        found[f"label accuracy at .5{side}"] = _mean([accuracy(*j.labels()) for j in members])
    best = [best_threshold(*j.labels()).accuracy for j in judged]
    found["best threshold less .5"] = _mean([b - accuracy(*j.labels()) for b, j in zip(best, judged, strict=True)])
    without = [auroc(*j.shuffled) or 0.0 for j in judged]
    found["label AUROC, shuffled descriptions"] = _mean(without)
    found["AUROC gained by the description"] = (
        found["label AUROC"][0] - found["label AUROC, shuffled descriptions"][0],
        [],
    )
    found["label AUROC, statements with a negation"] = (_hard(judged, _negated), [])
    found["label AUROC, statements without"] = (_hard(judged, lambda item: not _negated(item)), [])
    opposed = [j for j in judged if j.name in OPPOSITES]
    found["label AUROC, behaviours with a near-opposite"] = _mean([auroc(*j.labels()) or 0.0 for j in opposed])
    found["relevance AUROC"] = _mean([auroc(j.on_topic, j.relevance) or 0.0 for j in judged])
    unlike = [auroc(*j.unlike()) or 0.0 for j in judged]
    found["relevance AUROC, statements of unlike behaviours"] = _mean(unlike)
    pooled = [each for j in judged for each in j.on_topic], [each for j in judged for each in j.relevance]
    found["relevance AUROC, pooled"] = (auroc(*pooled) or 0.0, [])
    found["relevance accuracy at .5"] = _mean([accuracy(j.on_topic, j.relevance) for j in judged])
    return found


def _negated(item: Item) -> bool:
    return bool(words(item.text) & NEGATIONS)


def _hard(judged: Sequence[Judged], kind: Callable[[Item], bool]) -> float:
    """Pooled AUROC over the statements of a kind."""
    chosen = [(j.right[i], j.label[i]) for j in judged for i in j.own if kind(j.items[i])]
    return auroc([right for right, _ in chosen], [label for _, label in chosen]) or 0.0


def _selection(judged: Sequence[Judged]) -> Figures:
    """Good is on topic with the right label; the score is the mean of both probabilities, as when the best are kept."""
    good = [right for j in judged for right in j.right]
    score = [(a + b) / 2 for j in judged for a, b in zip(j.label, j.relevance, strict=True)]
    cut = cut_for(0.95, good, score)
    order = sorted(range(len(score)), key=lambda i: -score[i])[: len(score) // 3]
    precision = statistics.fmean(good[i] for i in order)
    low, high = wilson(sum(good[i] for i in order), len(order))
    return {
        "share of good items": (statistics.fmean(good), []),
        "recall of good items at precision .95": (cut.recall if cut else 0.0, []),
        "precision in the top third": (precision, [low, high]),
        "precision of what both filters keep": _kept(judged),
    }


def _kept(judged: Sequence[Judged]) -> tuple[float, list[float]]:
    preference, relevance = load_filters(["preference", "relevance"])
    limits = preference.options["threshold"], relevance.options["threshold"]
    kept = [
        j.right[i] for j in judged for i in range(len(j.items)) if j.label[i] > limits[0] and j.relevance[i] > limits[1]
    ]
    return statistics.fmean(kept), list(wilson(sum(kept), len(kept)))


def _log_odds(p: float) -> float:
    p = min(1 - 1e-4, max(1e-4, p))
    return math.log(p / (1 - p))


def _calibrated(judged: Sequence[Judged]) -> dict[str, list[float]]:
    """Calibrated log-odds of the own statements' labels, fitted on all other groups."""
    found = {}
    for j in judged:
        group = GROUP_OF.get(j.name, j.name)
        others = [o for o in judged if GROUP_OF.get(o.name, o.name) != group]
        x = [_log_odds(p) for o in others for p in o.labels()[1]]
        made = fit("platt", x, [right for o in others for right in o.labels()[0]])
        found[j.name] = [made(_log_odds(p)) for p in j.labels()[1]]
    return found


def _calibration(judged: Sequence[Judged]) -> Figures:
    truth = [right for j in judged for right in j.labels()[0]]
    shipped = [p for j in judged for p in j.labels()[1]]
    held_out = _calibrated(judged)
    p = [probability(odds) for j in judged for odds in held_out[j.name]]
    excess = []
    for j in judged:
        own = [probability(odds) for odds in held_out[j.name]]
        excess.append((calibration_error(own, j.labels()[0]) or 0.0) - (chance_error(own) or 0.0))
    return {
        "calibration error as shipped": (calibration_error(shipped, truth) or 0.0, []),
        "calibration error, groups held out": (calibration_error(p, truth) or 0.0, []),
        "calibration error by chance": (chance_error(p) or 0.0, []),
        "calibration error above chance, median behaviour": (statistics.median(excess), excess),
    }


def _prior_shift(judged: Sequence[Judged]) -> Figures:
    """Calibrated where half of the labels are wrong, right where one in five or one in ten is."""
    held_out = _calibrated(judged)
    found: Figures = {}
    for rate in (0.2, 0.1):
        stream = random.Random(f"flips {rate}")
        odds, truth = [], []
        for j in judged:
            for right, value in zip(j.labels()[0], held_out[j.name], strict=True):
                keep = stream.random() >= rate
                truth.append(keep)
                odds.append(value if right == keep else -value)
        for how, prior in (("even", 0.5), ("known", 1 - rate), ("estimated", estimated_prior(odds))):
            p = [probability(shifted(value, prior)) for value in odds]
            name = f"calibration error at a flip rate of {rate}, prior {how}"
            found[name] = (calibration_error(p, truth) or 0.0, [prior])
    return found


def _against_raters(judged: Sequence[Judged], data: dict[str, Sequence[Item]]) -> Figures:
    every = ratings()
    decided = [rating for rating in every if rating.answer]
    published = {(name, item.id): item.answer_matching_behavior.strip().lower() for name in data for item in data[name]}
    yes = {(j.name, id): p for j in judged for id, p in j.rated.items()}
    truth = [rating.answer == "yes" for rating in decided]
    p = [yes[rating.behaviour, rating.id] for rating in decided]
    right = [(value >= 0.5) == true for value, true in zip(p, truth, strict=True)]
    claims = [published[rating.behaviour, rating.id] == "yes" for rating in decided]
    agree = [a == b for a, b in zip(claims, truth, strict=True)]
    kappa = cohen_kappa([rating.answers[0] for rating in every], [rating.answers[1] for rating in every])
    return {
        "raters: rows where both say the same, of 900": (float(len(decided)), []),
        "raters: kappa (one language model twice)": (kappa.value or 0.0, [kappa.low or 0.0, kappa.high or 0.0]),
        "raters: published label is theirs": (statistics.fmean(agree), list(wilson(sum(agree), len(agree)))),
        "raters: accuracy of the filter": (statistics.fmean(right), list(wilson(sum(right), len(right)))),
        "raters: AUROC of the filter": (auroc(truth, p) or 0.0, []),
        "raters: AUROC of right against wrong published labels": (
            auroc(agree, [v if c else 1 - v for v, c in zip(p, claims, strict=True)]) or 0.0,
            [],
        ),
    }


def _row(j: Judged) -> None:
    truth, label = j.labels()
    area = auroc(truth, label) or 0.0
    # Hanley and McNeil's standard error, for a glance.
    n1 = n2 = len(truth) / 2
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + (n1 - 1) * (q1 - area**2) + (n2 - 1) * (q2 - area**2)) / (n1 * n2)
    values = (accuracy(truth, label), best_threshold(truth, label).accuracy, auroc(j.on_topic, j.relevance) or 0.0)
    text = " ".join(f"{value:6.3f}" for value in values)
    print(f"{j.name:62} {area:6.3f} +- {1.96 * math.sqrt(variance):5.3f} {text}", file=sys.stderr, flush=True)


def _model(name: str) -> StoredModel:
    provider, _, rest = name.partition("/")
    return StoredModel(plugins.load("models", provider).connect(rest, note=print), CallStore())


def _show(figure: str, value: float, runs: list[float], args: argparse.Namespace) -> None:
    line = {"bench": "filters", "figure": figure, "value": round(value, 4), "unit": "", "peer": None, "limit": None}
    line |= {"target": TARGETS.get(figure), "runs": [round(float(run), 4) for run in runs]}
    print(json.dumps(line | {"judge": args.judge, "by": args.by}), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judge", default="local/Qwen2.5-Coder-1.5B-Instruct")
    parser.add_argument("--by", default="language_model", help="a preference model, or several joined by +")
    parser.add_argument("--size", choices=SIZES, default=os.environ.get("SIZE", "quick"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
