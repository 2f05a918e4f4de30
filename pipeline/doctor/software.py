"""Python, the packages of the core and of the extra, the device that models compute on, and the terminal.

Versions are read from what pip installed; nothing heavy is imported.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import TextIO

from pipeline.doctor.finding import Finding, State
from pipeline.models._device import choose_device, choose_dtype
from pipeline.settings import has_local_extra

DISTRIBUTION = "mwe"
INSTALL_EXTRA = "pip install 'mwe[local]'"


def python() -> Iterator[Finding]:
    """The interpreter against `requires-python`."""
    here = f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})"
    wanted = _required_python()
    fits = wanted is None or _numbers(platform.python_version()) >= _numbers(wanted)
    if fits and sys.implementation.name == "cpython":
        yield Finding(subject="Python", state="ok", detail=here)
    else:
        advice = f"Install mwe with CPython {wanted or '3.11'} or newer."
        yield Finding(subject="Python", state="warn" if fits else "broken", detail=here, advice=advice)


def core() -> Iterator[Finding]:
    """The packages that mwe itself requires."""
    try:
        mwe = metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        detail = "runs from its source folder without being installed, so what it requires was not checked"
        yield Finding(subject="packages", state="warn", detail=detail, advice="Install it: pip install .")
        return
    here, missing = _compared(_requirements(None))
    if missing:
        advice = "Install mwe again: pip install --upgrade mwe"
        yield Finding(subject="packages", state="broken", detail="; ".join(missing), advice=advice)
    else:
        yield Finding(subject="packages", state="ok", detail=f"mwe {mwe}: {', '.join(here)}")


def local(is_wanted: bool) -> Iterator[Finding]:
    """The packages of the extra [local]; `is_wanted` says whether a default needs a model in this process."""
    here, missing = _compared(_requirements("local"))
    if not missing and not has_local_extra():
        missing = ["torch, transformers or safetensors is not installed"]
    if missing:
        state: State = "broken" if is_wanted else "ok"
        detail = f"{'; '.join(missing)}{'' if is_wanted else ' (the defaults in force need none of it)'}"
        advice = f"{INSTALL_EXTRA}, or set MWE_MODEL and MWE_JUDGE to models behind an API." if is_wanted else None
        yield Finding(subject="extra [local]", state=state, detail=detail, advice=advice)
        return
    yield Finding(subject="extra [local]", state="ok", detail=", ".join(here) or "installed")


def device() -> Iterator[Finding]:
    """Where models in this process compute; nothing where they cannot."""
    if not has_local_extra():
        return
    chosen = choose_device()
    detail = f"{chosen}, computing in {choose_dtype(chosen)}"
    if chosen == "cpu" and shutil.which("nvidia-smi") and not os.environ.get("MWE_DEVICE"):
        detail += "; an NVIDIA driver is here, and this torch was built without CUDA"
        advice = "For the GPU, install torch as https://pytorch.org/get-started says for your CUDA version."
        yield Finding(subject="device", state="warn", detail=detail, advice=advice)
    else:
        yield Finding(subject="device", state="ok", detail=detail)


def terminal(stream: TextIO = sys.stdout) -> Iterator[Finding]:
    """Whether what models write can be shown."""
    encoding = stream.encoding or "unknown"
    try:
        "\N{HORIZONTAL ELLIPSIS}\N{EN DASH}漢".encode(encoding)
    except (LookupError, UnicodeEncodeError):
        advice = "Set PYTHONUTF8=1, or a UTF-8 locale such as LANG=C.UTF-8."
        detail = f"writes {encoding}, which cannot hold every text"
        yield Finding(subject="terminal", state="warn", detail=detail, advice=advice)
    else:
        yield Finding(subject="terminal", state="ok", detail=f"writes {encoding}")


def _required_python() -> str | None:
    try:
        found = re.search(r">=\s*([\d.]+)", metadata.metadata(DISTRIBUTION)["Requires-Python"] or "")
    except metadata.PackageNotFoundError:
        return None
    return found[1] if found else None


def _requirements(extra: str | None) -> dict[str, str]:
    """Package -> lowest version, of the core or of an extra."""
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return {}
    found = {}
    for line in lines:
        requirement, _, marker = line.partition(";")
        of = re.search(r"extra\s*==\s*['\"]([^'\"]+)", marker)
        name = re.match(r"[\w.-]+", requirement)
        if name and (of[1] if of else None) == extra:
            lowest = re.search(r">=\s*([\d.]+)", requirement)
            found[name[0]] = lowest[1] if lowest else "0"
    return found


def _compared(requirements: dict[str, str]) -> tuple[list[str], list[str]]:
    """What is here with its version, and what is missing or too old."""
    here: list[str] = []
    missing: list[str] = []
    for name, lowest in requirements.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(f"{name} is not installed")
            continue
        fits = _numbers(version) >= _numbers(lowest)
        (here if fits else missing).append(f"{name} {version}" + ("" if fits else f" is older than {lowest}"))
    return here, missing


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers that a version starts with: "2.13.0+cpu" -> (2, 13, 0)."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
