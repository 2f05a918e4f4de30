"""How long `mwe --help` takes as a whole process, against `inspect --help` of Inspect AI where that is installed."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path


def seconds(command: list[str]) -> float:
    """Wall time of one run of a command."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> None:
    """Run both in turn after a warm-up and print a JSON line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("quick", "full"), default="quick")
    parser.add_argument("--inspect", default=shutil.which("inspect"), help="the `inspect` program")
    args = parser.parse_args()
    ours = [str(Path(sys.executable).with_name("mwe")), "--help"]
    bare = [sys.executable, "-c", "pass"]
    peer = [args.inspect, "--help"] if args.inspect else None
    rows = []
    for _ in range(6 if args.size == "quick" else 21):
        rows.append((seconds(ours), seconds(bare), seconds(peer) if peer else 0.0))
    rows = rows[1:]
    limit = statistics.median(row[1] for row in rows)
    _show("mwe --help", [row[0] for row in rows], "s", limit=round(limit, 3))
    if peer:
        _show("inspect --help", [row[2] for row in rows], "s")
        _show("share of inspect --help", [row[0] / row[2] for row in rows], "x", peer="inspect", target=0.33)
    else:
        print(json.dumps({"bench": "help", "skipped": "inspect is not installed: pip install inspect-ai"}))


def _show(figure: str, values: list[float], unit: str, **more: object) -> None:
    line = {"bench": "help", "figure": figure, "value": round(statistics.median(values), 3), "unit": unit}
    line |= {"peer": None, "limit": None, "target": None} | more
    print(json.dumps(line | {"runs": [round(value, 3) for value in values]}), flush=True)


if __name__ == "__main__":
    main()
