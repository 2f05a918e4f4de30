"""Ladders of points with a planted trend, for the tests beside."""

from __future__ import annotations

import math

import numpy as np

from pipeline.schema import Point
from pipeline.statistics.intervals import wilson


def point(parameters: float | None = 1e9, score: float = 0.5, n: int = 200, **changes) -> Point:
    low, high = wilson(round(score * n), n) if math.isfinite(score) else (0.0, 1.0)
    fields = {
        **{"model": f"hf/org/m-{parameters}", "family": "Pythia", "kind": "base", "rendering": "base"},
        **{"quantisation": None, "dtype": "bfloat16", "template_hash": "x", "training_tokens": None, "thinking": False},
        **{"parameters": None if parameters is None else int(parameters), "estimator": "loglikelihood", "mass": 0.9},
        **{"n": n, "score": score, "score_low": low, "score_high": high, "mean_probability": score, "yes_rate": 0.5},
        **{"position_bias": None, "refusal_rate": None, "comprehension": None},
    }
    return Point(**{**fields, **changes})


def family(k: int, slope: float, n: int, sd: float, rng: np.random.Generator, **changes) -> list[Point]:
    """k sizes over two decades; `slope` and the between-model `sd` in points.

    The models answer the same n items: four in five are as hard for one as for the other, the rest are noise.
    """
    sizes = np.logspace(8, 10, k)
    true = 0.5 + (slope * (np.log10(sizes) - 9) + rng.normal(0, sd, k)) / 100
    return observed(sizes, true, n, rng, **changes)


def observed(sizes, true, n: int, rng: np.random.Generator, **changes) -> list[Point]:
    """Points of models with these expected scores in 0..1."""
    shared, own, common = rng.random(n), rng.random((len(sizes), n)), rng.random(n) < 0.8
    shares = (np.where(common, shared, own) < np.asarray(true)[:, None]).mean(axis=1)
    return [point(parameters, share, n, **changes) for parameters, share in zip(sizes, shares, strict=True)]
