"""Does a sweep of many behaviours keep its false discovery rate, and do its intervals cover the planted slopes?

Usage: python tests/bench/bench_sweep.py [--size quick|full]
Simulated: one family of 5 to 9 sizes over two decades answers 50 or 150 behaviours, a fifth or none of which move by 10
points a decade; each score is off by 2 points, and by up to 2 more that a model has in all behaviours alike. With a
drift, every behaviour moves by 5 points a decade besides. Through the functions that make sweep.json.
quick makes 100 sweeps a row, full 1,000. No model is asked.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from pipeline.scaling.common import lines
from pipeline.scaling.design import Design
from pipeline.scaling.discovery import LEVEL, needed, q_values, smallest_p

RUNS = {"quick": 100, "full": 1_000}
SLOPE, DRIFT, SCATTER = 10.0, 5.0, 2.0


@dataclass(frozen=True)
class World:
    """What is simulated."""

    sizes: int
    behaviours: int
    moving: float
    """Share of the behaviours with a slope of their own."""
    shared: float
    """Standard deviation, in points, of what a model has in all behaviours alike."""


WORLDS = [
    World(sizes, behaviours, moving, shared)
    for sizes in (5, 7, 9)
    for behaviours in (50, 150)
    for moving in (0.0, 0.2)
    for shared in (0.0, 2.0)
]


def main() -> None:
    """Print a table on stderr and a JSON line a figure on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default=os.environ.get("SIZE", "quick"), choices=RUNS)
    runs = RUNS[parser.parse_args().size]
    names = ("false share", "any false", "found", "residual covers", "common covers")
    print("sizes behaviours moving shared needed" + "".join(f"{name:>17}" for name in names), file=sys.stderr)
    rows = {world: simulate(world, runs) for world in WORLDS}
    for world, row in rows.items():
        cells = "".join(f"{value:17.3f}" for value in row)
        fewest = needed([_smallest(world)] * world.behaviours)
        start = f"{world.sizes:5} {world.behaviours:10} {world.moving:6} {world.shared:6} {fewest!s:>6}"
        print(start + cells, file=sys.stderr, flush=True)
    for i, (name, target) in enumerate(zip(names, (0.05, None, None, 0.93, 0.93), strict=True)):
        values = [row[i] for world, row in rows.items() if name != "found" or world.moving]
        worst = max(values) if i < 2 else min(values)
        line = {"bench": "sweep", "figure": f"{name}, the worst of {len(values)} rows", "value": round(worst, 3)}
        line |= {"unit": "", "peer": None, "limit": None, "target": target, "runs": [round(v, 3) for v in values]}
        print(json.dumps(line | {"load": round(os.getloadavg()[0], 2)}), flush=True)


def simulate(world: World, runs: int) -> tuple[float, float, float, float, float]:
    """Mean false discovery proportion, share of sweeps with any, power, and coverage of residual and common slopes."""
    draw = np.random.default_rng([world.sizes, world.behaviours, int(10 * world.moving), int(world.shared)])
    found = [_one(draw, world) for _ in range(runs)]
    means = [fmean(values) for values in zip(*found, strict=True)]
    return means[0], means[1], means[2], means[3], means[4]


def _one(draw: np.random.Generator, world: World) -> tuple[float, float, float, float, float]:
    design = Design.of(np.geomspace(1e8, 1e10, world.sizes))
    own = np.where(np.arange(world.behaviours) < world.moving * world.behaviours, SLOPE, 0.0)
    noise = draw.normal(0, SCATTER, (world.behaviours, world.sizes)) + draw.normal(0, world.shared, world.sizes)
    plain = 50 + own[:, None] * design.centred + noise
    drifting = plain + DRIFT * design.centred
    p_values = [line.p_value for line in lines(design, plain)]
    rejected = np.array([q is not None and q <= LEVEL for q in q_values(p_values)])
    false = float((rejected & (own == 0)).sum())
    mean = drifting.mean(axis=0, keepdims=True)
    residual = lines(design, drifting - mean)
    common = lines(design, mean)[0]
    truth = own - own.mean()
    covers = fmean(_covers(line, slope) for line, slope in zip(residual, truth, strict=True))
    power = float(rejected[own > 0].mean()) if world.moving else 0.0
    return false / max(1.0, rejected.sum()), float(false > 0), power, covers, _covers(common, DRIFT + own.mean())


def _covers(line, slope: float) -> float:  # type: ignore[no-untyped-def]
    return float(line.low <= slope <= line.high)


def _smallest(world: World) -> float:
    least = smallest_p(Design.of(np.geomspace(1e8, 1e10, world.sizes)))
    assert least is not None
    return least


if __name__ == "__main__":
    main()
