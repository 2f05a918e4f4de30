"""Runs one benchmark (`make bench BENCH=filters`) or all of them, one after the other: they share the machine."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """The exit code of the first benchmark that failed, else 0."""
    here = Path(__file__).parent
    names = sorted(path.stem.removeprefix("bench_") for path in here.glob("bench_*.py"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench", nargs="?", choices=names)
    parser.add_argument("--size", choices=("quick", "full"), default="quick")
    args = parser.parse_args()
    for name in [args.bench] if args.bench else names:
        code = subprocess.run([sys.executable, here / f"bench_{name}.py", "--size", args.size], check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
