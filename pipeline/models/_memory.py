"""How much memory there is: of the machine, or of the container that this process may not outgrow."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

UNLIMITED = 2**60
"""Linux writes a number near 2^63 where version 1 of control groups sets no limit."""


@dataclass(frozen=True)
class Memory:
    """Bytes; None where the system does not say."""

    total: int | None
    available: int | None
    """What can be taken without swapping."""
    limit: int | None
    """Of the control group (container, systemd slice, batch job), if it is below `total`."""


def read_memory(root: Path = Path("/")) -> Memory:
    """What this process can have. `root` stands in for the root of the file system in tests.

    A container sees the memory of the whole machine in /proc/meminfo; its limit stands with its control group.
    """
    total, available = _of_machine(root)
    groups = [group for group in _control_groups(root) if total is None or group[0] < total]
    if not groups:
        return Memory(total, available, None)
    rooms = [limit - used for limit, used in groups]
    available = max(0, min(rooms if available is None else [available, *rooms]))
    return Memory(total, available, min(limit for limit, _ in groups))


def available_memory() -> int | None:
    """Bytes of memory that can be taken without swapping or being killed, or None where the system does not say."""
    return read_memory().available


def _of_machine(root: Path) -> tuple[int | None, int | None]:
    path = root / "proc" / "meminfo"
    if path.is_file():
        lines = (line.partition(":") for line in path.read_text().splitlines())
        sizes = {name: int(rest.split()[0]) * 1024 for name, _, rest in lines if rest.strip()}
        return sizes.get("MemTotal"), sizes.get("MemAvailable")
    if sys.platform != "win32" and {"SC_PHYS_PAGES", "SC_PAGE_SIZE"} <= set(os.sysconf_names):
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return total, total
    return None, None


def _control_groups(root: Path) -> list[tuple[int, int]]:
    """(limit, used) in bytes of every control group of this process that has a limit, both versions."""
    path = root / "proc" / "self" / "cgroup"
    if not path.is_file():
        return []
    found = []
    for line in path.read_text().splitlines():
        _, controllers, own = (*line.split(":", 2), "", "")[:3]
        if controllers == "":
            found += _limits(root / "sys/fs/cgroup", own, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            found += _limits(root / "sys/fs/cgroup/memory", own, *names)
    return found


def _limits(top: Path, own: str, limit: str, usage: str, cache: str) -> list[tuple[int, int]]:
    """Limits of a group and of all above it. In a container `own` may not be there: its group is then the top."""
    below = [part for part in own.split("/") if part not in ("", "..")]
    folders = [top.joinpath(*below[:depth]) for depth in range(len(below) + 1)]
    found = []
    for folder in folders:
        most, used = _number(folder / limit), _number(folder / usage)
        if most is not None and used is not None and most < UNLIMITED:
            # Files that were read count as used, though the system gives them back when memory is wanted.
            found.append((most, used - _in_statistics(folder / "memory.stat", cache)))
    return found


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _in_statistics(path: Path, name: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)
