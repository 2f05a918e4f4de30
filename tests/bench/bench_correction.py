"""Do the intervals of corrected scores cover the true one, and what do they gain on the labels alone?

Usage: python tests/bench/bench_correction.py [--size quick|full]
Simulated: 1,000 items, half Yes and half No, a share of them labelled wrongly (1.3 times as many of the Yes items as of
the No ones less the same), a subject of a known score against the true labels, and n items labelled, as many a side.
Wrong labels are blind (the subject does no worse on them), or sit on items where it answers truly .3 less often.
Each method's coverage of the true score, and its mean width over that of Wilson's interval of the labels alone.
quick makes 300 runs a row, full 2,000. No model is asked.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from statistics import fmean

import numpy as np

from pipeline.statistics.correction import Rate, prediction_powered_mean, prediction_powered_share, rogan_gladen_score
from pipeline.statistics.intervals import wilson
from pipeline.statistics.sampling import Estimate

ITEMS = 1_000
RUNS = {"quick": 300, "full": 2_000}
LABELS = (20, 50, 100, 200, 500)
ERRORS = (0.0, 0.05, 0.1, 0.2)
SCORES = (0.5, 0.8, 0.95)
METHODS = {"ppi": "PPI++ as shipped", "plain": "PPI++ as published", "rogan-gladen": "Rogan-Gladen"}


def main() -> None:
    """Print a table on stderr and a JSON line a figure on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default=os.environ.get("SIZE", "quick"), choices=RUNS)
    runs = RUNS[parser.parse_args().size]
    print(f"{'':30}" + "".join(f"{name:>24}" for name in METHODS.values()), file=sys.stderr)
    rows = []
    for blind in (True, False):
        for error in ERRORS:
            for labels in LABELS:
                for score in SCORES:
                    row = simulate(blind, error, labels, score, runs)
                    rows.append((blind, labels, row))
                    cells = "".join(f"{cover:16.3f}{width:8.2f}" for cover, width in row.values())
                    kind = "blind" if blind else "hard"
                    print(f"{kind:6} {error:.2f} {labels:4} {score:.2f}      {cells}", file=sys.stderr, flush=True)
    for method, name in METHODS.items():
        for blind, where in ((True, "errors are blind"), (False, "errors sit on hard items")):
            _show(f"{name}, {where}", [(n, row[method]) for is_blind, n, row in rows if is_blind == blind])


def simulate(blind: bool, error: float, labels: int, score: float, runs: int) -> dict[str, tuple[float, float]]:
    """By method: the share of runs whose interval holds the true score, and the mean width over that of the labels."""
    draw = np.random.default_rng([int(blind), int(100 * error), labels, int(100 * score)])
    truth = score if blind else score - 0.3 * error
    found: dict[str, list[tuple[float, float]]] = {method: [] for method in METHODS}
    alone = []
    for _ in range(runs):
        results, only = _one(draw, blind, error, labels, score)
        alone.append(only)
        for method, estimate in results.items():
            if estimate is not None:
                found[method].append((estimate.low <= truth <= estimate.high, estimate.high - estimate.low))
    width = fmean(alone)
    return {
        method: (fmean(covers for covers, _ in given), fmean(wide for _, wide in given) / width)
        for method, given in found.items()
    }


def _one(
    draw: np.random.Generator, blind: bool, error: float, labels: int, score: float
) -> tuple[Mapping[str, Estimate | None], float]:
    sides = np.arange(ITEMS) % 2 == 0
    wrong = draw.random(ITEMS) < np.where(sides, 1.3, 0.7) * error
    y = (draw.random(ITEMS) < (score if blind else np.where(wrong, score - 0.3, score))) * 1.0
    f = np.where(wrong, 1 - y, y)
    some = [draw.choice(np.flatnonzero(sides == side), labels // 2, replace=False) for side in (True, False)]
    at = np.concatenate(some)
    rest = np.setdiff1d(np.arange(ITEMS), at)
    everywhere = Estimate(float(f.mean()), *wilson(float(f.sum()), ITEMS))
    rates = tuple(Rate(float(f[sides == side].mean()), ITEMS / 2) for side in (True, False))
    errors = tuple(Rate(float(wrong[given].mean()), labels / 2) for given in some)
    low, high = wilson(float(y[at].sum()), labels)
    return {
        "ppi": prediction_powered_share(y[at].tolist(), f[at].tolist(), everywhere),
        "plain": prediction_powered_mean(y[at], f[at], f[rest]),
        "rogan-gladen": rogan_gladen_score((rates[0], rates[1]), (errors[0], errors[1]), 0.5),
    }, high - low


def _show(figure: str, rows: list[tuple[int, tuple[float, float]]]) -> None:
    """Coverage and width from 50 labels on: the least favourable row is the value."""
    covers = [cover for n, (cover, _) in rows if n >= 50]
    widths = [width for n, (_, width) in rows if n >= 50]
    for name, value, target, runs in (
        ("least coverage", min(covers), 0.93, covers),
        ("greatest width over the labels alone", max(widths), 1.0, widths),
    ):
        line = {"bench": "correction", "figure": f"{figure}: {name}, 50 to 500 labels", "value": round(value, 3)}
        line |= {"unit": "", "peer": None, "limit": None, "target": target, "runs": [round(run, 3) for run in runs]}
        print(json.dumps(line | {"load": round(os.getloadavg()[0], 2)}), flush=True)


if __name__ == "__main__":
    main()
