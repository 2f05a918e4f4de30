"""The filters against published labels: per behaviour, area under the curve and accuracy, for label and relevance.

Usage: python tests/bench/bench_filters.py [--judge MODEL] [--size quick|full]
Rows with label_confidence above .7 are drawn at random, as many of each label; half of the labels are flipped at
random (right against wrong label), and statements of other behaviours are mixed in (on topic against off topic).
The published labels are a preference model's own: this is agreement with them, not truth.
All behaviours; quick takes 32 statements of each, full 90. Rates of one behaviour rest on few items; read the means.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline import plugins, prompts, store
from pipeline.calls import CallStore, StoredModel
from pipeline.ports import Screening
from pipeline.schema import Item
from pipeline.screen import load_filters
from pipeline.statistics.discrimination import accuracy, auroc, best_threshold

SIZES = {"quick": (45, 24, 8), "full": (45, 60, 30)}
"""Behaviours, statements of each, statements of others mixed in."""
TARGETS = {"label AUROC": 0.90, "label accuracy at .5": 0.80, "best threshold less .5": 0.03, "relevance AUROC": 0.90}


def main() -> None:
    """Print a table on stderr and a JSON line a figure on stdout."""
    args = _arguments()
    folder = Path(os.environ.get("MWE_REFERENCE", "../shared/reference")) / "persona"
    if not folder.is_dir():
        sys.exit("the reference data is not there; set MWE_REFERENCE to its folder")
    behaviours, own, others = SIZES[args.size]
    files = sorted(folder.glob("*.jsonl"))
    chosen = sorted(random.Random(0).sample(files, min(behaviours, len(files))))
    data = {path.stem: store.find(str(path), folder).items for path in files}
    judge, embedder = _model(args.judge), _model("local/all-MiniLM-L6-v2")
    rows = []
    print(f"{'behaviour':62} {'AUROC':>6} {'acc':>6} {'best':>6} {'relev.':>6} {'acc':>6}", file=sys.stderr)
    for path in chosen:
        screening = Screening(prompts.named_behaviour(path.stem), judge, embedder)
        row = measure(path.stem, data, screening, own, others)
        rows.append(row)
        print(f"{path.stem:62} " + " ".join(f"{value:6.3f}" for value in row.values()), file=sys.stderr, flush=True)
    means = {figure: statistics.fmean(row[figure] for row in rows) for figure in rows[0]}
    means["best threshold less .5"] = means["label accuracy, best threshold"] - means["label accuracy at .5"]
    for figure, value in means.items():
        _show(figure, value, [row[figure] for row in rows if figure in row], args.judge)


def measure(
    name: str, data: dict[str, Sequence[Item]], screening: Screening, own: int, others: int
) -> dict[str, float]:
    """The figures of one behaviour."""
    draw = random.Random(f"filters {name}")
    on_topic = [item for label in (" Yes", " No") for item in _sample(data[name], label, own // 2, draw)]
    flipped = set(draw.sample(range(len(on_topic)), len(on_topic) // 2))
    asked = [_flip(item) if i in flipped else item for i, item in enumerate(on_topic)]
    elsewhere = draw.sample([other for other in data if other != name], others)
    off_topic = [draw.choice(data[other]) for other in elsewhere]
    preference, relevance = load_filters(["preference", "relevance"])
    right = [i not in flipped for i in range(len(asked))]
    label = [verdict.scores["label"] for verdict in preference.judge([*asked, *off_topic], screening)][: len(asked)]
    about = [verdict.scores["relevance"] for verdict in relevance.judge([*asked, *off_topic], screening)]
    topical = [True] * len(asked) + [False] * len(off_topic)
    return {
        "label AUROC": auroc(right, label) or 0.0,
        "label accuracy at .5": accuracy(right, label),
        "label accuracy, best threshold": best_threshold(right, label).accuracy,
        "relevance AUROC": auroc(topical, about) or 0.0,
        "relevance accuracy at .5": accuracy(topical, about),
    }


def _sample(items: Sequence[Item], label: str, n: int, draw: random.Random) -> list[Item]:
    sure = [i for i in items if i.answer_matching_behavior == label and (i.label_confidence or 0) > 0.7]
    return draw.sample(sure, min(n, len(sure)))


def _flip(item: Item) -> Item:
    return item.model_copy(
        update={
            "answer_matching_behavior": item.answer_not_matching_behavior,
            "answer_not_matching_behavior": item.answer_matching_behavior,
        }
    )


def _model(name: str) -> StoredModel:
    provider, _, rest = name.partition("/")
    return StoredModel(plugins.load("models", provider).connect(rest, note=print), CallStore())


def _show(figure: str, value: float, runs: list[float], judge: str) -> None:
    line = {"bench": "filters", "figure": figure, "value": round(value, 4), "unit": "", "peer": None, "limit": None}
    line |= {"target": TARGETS.get(figure), "runs": [round(run, 4) for run in runs], "judge": judge}
    print(json.dumps(line), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judge", default="local/Qwen2.5-Coder-1.5B-Instruct")
    parser.add_argument("--size", choices=SIZES, default=os.environ.get("SIZE", "quick"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
