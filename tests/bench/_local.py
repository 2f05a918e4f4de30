"""What the benchmarks of the local engine share: where the model is, how fast the machine is, a line a figure."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# As the engine sets it, and here before torch is imported, so that both sides of a comparison have it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def arguments(purpose: str) -> argparse.Namespace:
    """Model folder or catalogue name, size and number of runs."""
    parser = argparse.ArgumentParser(description=purpose)
    parser.add_argument("--model", default="SmolLM2-135M-Instruct", help="a catalogue name, or a model folder")
    parser.add_argument("--size", default=os.environ.get("SIZE", "quick"), choices=("quick", "full"))
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


def model_folder(name: str) -> Path:
    """The folder given, or that of an installed catalogue model."""
    if Path(name).is_dir():
        return Path(name)
    from pipeline.models._installed import folder_of

    folder = folder_of(name)
    if not folder.is_dir():
        sys.exit(f"{name} is not installed (mwe models pull {name}), and no folder of that name is here.")
    return folder


def gigaflops(size: int = 2048, seconds: float = 1.0) -> float:
    """What the machine reaches in a square bfloat16 product right now: read the other figures beside it."""
    import torch

    a, b = torch.randn(size, size).bfloat16(), torch.randn(size, size).bfloat16()
    torch.mm(a, b)
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        torch.mm(a, b)
        best = max(best, 2 * size**3 / (time.perf_counter() - start) / 1e9)
    return best


def in_turn(ours: Callable[[], float], theirs: Callable[[], float] | None, runs: int) -> list[tuple[float, float]]:
    """Rates of both sides, measured alternately so that a busy machine is busy for both; 0 for a missing peer."""
    return [(ours(), theirs() if theirs else 0.0) for _ in range(runs)]


def show(bench: str, figure: str, values: list[float], unit: str, digits: int = 3, **more: Any) -> None:
    """Print one JSON line: the median with every run, and what it is held against."""
    line = {"bench": bench, "figure": figure, "value": round(statistics.median(values), digits), "unit": unit}
    line |= {"peer": None, "limit": None, "target": None} | more
    print(json.dumps(line | {"runs": [round(value, digits) for value in values]}), flush=True)


def show_load(bench: str) -> None:
    """Print the machine's speed and how busy it is."""
    show(bench, "machine bfloat16 product", [gigaflops()], "GFLOP/s", load=round(os.getloadavg()[0], 2))
