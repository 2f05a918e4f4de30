"""Kills a run of about 2,000 requests with SIGKILL at 20 random moments, then lets the same command finish.

Checked: no call whose answer was stored is ever asked again; the published items are byte for byte those of a run
that nobody disturbed. Counted: calls that were on their way, or answered and not yet stored, when the kill came, which
are asked again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from interrupted_run import Command, Served, served

CONNECTIONS = 100


def main() -> None:
    """Run the undisturbed command, then the disturbed one, and print a JSON line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("quick", "full"), default="quick")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    kills, n = (20, 420) if args.size == "full" else (6, 200)
    with served() as server, tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        whole = Command(server, Path(folder) / "whole", n)
        whole.finish()
        requests = server.count()
        show("undisturbed run", requests, "requests", seconds=round(time.perf_counter() - start, 1))
        disturbed = Command(server, Path(folder) / "killed", n)
        lost = [kill(disturbed, server, requests, left, random.Random(f"{args.seed} {left}")) for left in range(kills)]
        before, stored = server.asked(), disturbed.stored()
        disturbed.finish()
        asked = server.asked()[len(before) :]
        if stored & set(asked) or len(asked) != len(set(asked)):
            sys.exit("a call that was stored was asked again")
        if disturbed.items() != whole.items():
            sys.exit("items.jsonl is not that of the undisturbed run")
        show("kills", kills, "kills", repeated_successful_calls=0, items_identical=True)
        show("asked again per kill", sum(lost) / kills, "requests", limit=CONNECTIONS, runs=lost)
        show("asked in all", server.count() - requests, "requests", limit=requests)


def kill(command: Command, server: Served, requests: int, done: int, draw: random.Random) -> int:
    """Start the command, kill it at a random moment, and count the requests of this start that were not stored.

    Three of four moments are drawn by the number of requests since the start, so that they are spread over the run;
    the others by time, and so may also fall into the start or the end of the program.
    """
    before, stored = server.asked(), command.stored()
    target, seconds = draw.randint(1, requests // 12), draw.uniform(0.1, 4)
    by_time, start = draw.random() < 0.25, time.monotonic()
    running = command.until(lambda asked: time.monotonic() - start > seconds if by_time else asked >= target)
    running.kill()
    running.communicate()
    asked = server.asked()[len(before) :]
    if stored & set(asked):
        sys.exit(f"kill {done}: {len(stored & set(asked))} calls that were stored were asked again")
    return len(asked) - len(command.stored() - stored)


def show(figure: str, value: float, unit: str, **more: object) -> None:
    line = {"bench": "kill", "figure": figure, "value": round(value, 3), "unit": unit}
    line |= {"peer": None, "limit": None, "target": None, "load": round(os.getloadavg()[0], 1)} | more
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
