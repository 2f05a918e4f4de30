"""What is kept against the best by score alone: 200 of the 1,000 items of each published persona file.

Usage: python tests/bench/bench_diversity.py [--size quick|full]
The published label_confidence is the score. Evenness of topics and label imbalance inside them are measured twice: on
the topics that the filter itself used, and on 15 others, from another start, that it has not seen.
`worse in` counts the files where the choice is less diverse than the best by score; its target is 0.
quick takes 9 files, full all 45. "words" is the filter without an embedder, judged by the embedder all the same.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from filters import balance
from pipeline import plugins, prompts, store
from pipeline.calls import CallStore, StoredModel
from pipeline.ports import Screening
from pipeline.schema import Item
from pipeline.statistics import diversity

STEPS = {"quick": 5, "full": 1}
WANTED = 200
UNSEEN = 15
LOWER_IS_BETTER = ("self-BLEU", "label imbalance inside topics", "label imbalance inside unseen topics")


def main() -> None:
    """Print a JSON line a figure on stdout and a line a file on stderr."""
    args = _arguments()
    folder = Path(os.environ.get("MWE_REFERENCE", "../shared/reference")) / "persona"
    if not folder.is_dir():
        sys.exit("the reference data is not there; set MWE_REFERENCE to its folder")
    provider = plugins.load("models", "local").connect("all-MiniLM-L6-v2", note=print)
    embedder = StoredModel(provider, CallStore())
    rows: dict[str, list[tuple[dict[str, float], dict[str, float]]]] = {"embeddings": [], "words": []}
    for path in sorted(folder.glob("*.jsonl"))[:: STEPS[args.size]]:
        items = [item for item in store.find(str(path), folder).items if item.label_confidence is not None]
        for name, used in (("embeddings", embedder), ("words", None)):
            screening = Screening(prompts.named_behaviour(path.stem), None, used)
            rows[name].append(compare(items, screening, embedder))
        best, kept = rows["embeddings"][-1]
        print(f"{path.stem:62} {json.dumps(best)} -> {json.dumps(kept)}", file=sys.stderr, flush=True)
    for name, pairs in rows.items():
        _show(name, pairs)


def compare(items: Sequence[Item], screening: Screening, embedder: StoredModel) -> tuple[dict[str, float], ...]:
    """Figures of the best by score and of what the filter keeps."""
    vectors = embedder.embed([item.text for item in items])
    room = min(WANTED // 2, *(sum(i.answer_matching_behavior == label for i in items) for label in (" Yes", " No")))
    seen = diversity.topics(vectors, diversity.number_of_topics(2 * room))
    unseen = diversity.topics(vectors, UNSEEN, seed=7)
    found = []
    for weight in (0.0, balance.make().options["diversity"]):
        verdicts = balance.make(per_label=room, diversity=weight).judge(items, screening)
        places = [place for place, verdict in enumerate(verdicts) if verdict.keep]
        labels = [items[place].answer_matching_behavior for place in places]
        found.append(
            {
                "self-BLEU": diversity.self_bleu([items[place].text for place in places]),
                "Vendi score": diversity.vendi_score(vectors[places]),
                "evenness of topics": diversity.topic_entropy(seen[places].tolist(), int(seen.max()) + 1),
                "evenness of unseen topics": diversity.topic_entropy(unseen[places].tolist(), UNSEEN),
                "label imbalance inside topics": diversity.label_imbalance(seen[places].tolist(), labels),
                "label imbalance inside unseen topics": diversity.label_imbalance(unseen[places].tolist(), labels),
                "mean score": float(np.mean([items[place].label_confidence for place in places])),
            }
        )
    return tuple({name: round(value, 4) for name, value in each.items()} for each in found)


def _show(name: str, pairs: Sequence[tuple[dict[str, float], ...]]) -> None:
    for figure in pairs[0][0]:
        best, kept = ([pair[side][figure] for pair in pairs] for side in (0, 1))
        sign = -1 if figure in LOWER_IS_BETTER else 1
        worse = sum(sign * k < sign * b for b, k in zip(best, kept, strict=True))
        line = {
            "bench": "diversity",
            "figure": f"{figure}, {name}",
            "value": round(statistics.fmean(kept), 4),
            "unit": "",
        }
        line |= {
            "peer": round(statistics.fmean(best), 4),
            "limit": None,
            "target": None,
            "runs": kept,
            "worse in": worse,
        }
        print(json.dumps(line), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=STEPS, default=os.environ.get("SIZE", "quick"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
