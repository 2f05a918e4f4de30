"""Where and in which number format a local model runs, decided without importing torch.

The choice is part of every call's key, and a run whose answers are all stored must not pay for importing torch.
`MWE_DEVICE` (cpu, cuda, mps) and `MWE_DTYPE` (bfloat16, float16, float32) overrule it.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import re
import shutil
import sys
from pathlib import Path

from pipeline.errors import UsageError

DEVICES = ("cpu", "cuda", "mps")
DTYPES = ("bfloat16", "float16", "float32")

_FAST_BFLOAT16 = {"avx512_bf16", "amx_bf16"}


def choose_device() -> str:
    """`cuda` or `mps` where this torch can use it, else `cpu`."""
    chosen = os.environ.get("MWE_DEVICE") or _found_device()
    if chosen not in DEVICES:
        raise UsageError(f"MWE_DEVICE is {chosen!r}; it can be {', '.join(DEVICES)}.")
    return chosen


def choose_dtype(device: str) -> str:
    """`bfloat16` where the device multiplies it faster than `float32`."""
    fast = device == "cuda" or (device == "cpu" and bool(_FAST_BFLOAT16 & _processor_flags()))
    chosen = os.environ.get("MWE_DTYPE") or ("bfloat16" if fast else "float32")
    if chosen not in DTYPES:
        raise UsageError(f"MWE_DTYPE is {chosen!r}; it can be {', '.join(DTYPES)}.")
    return chosen


@functools.cache
def _found_device() -> str:
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "mps"
    return "cuda" if _torch_has_cuda() and shutil.which("nvidia-smi") else "cpu"


def _torch_has_cuda() -> bool:
    """Whether the installed torch was built for CUDA, from the file in which it says so."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    version = Path(spec.origin).with_name("version.py")
    return version.is_file() and re.search(r"^cuda.*= *['\"]\d", version.read_text(), re.MULTILINE) is not None


@functools.cache
def _processor_flags() -> set[str]:
    """What the processor can do, as Linux names it; empty elsewhere."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return set()
    found = re.search(r"^flags\s*:(.*)$", path.read_text(), re.MULTILINE)
    return set(found.group(1).split()) if found else set()
