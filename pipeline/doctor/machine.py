"""Room: folders that must be writable, the call store, disk, and memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.calls import CallStore, default_folder
from pipeline.doctor.finding import Finding, State, size
from pipeline.models import _catalogue, _installed
from pipeline.models._catalogue import models_folder
from pipeline.models._device import choose_device, choose_dtype
from pipeline.models._installed import Row
from pipeline.models._memory import Memory, read_memory
from pipeline.settings import Settings, has_local_extra

CALLS_BYTES = 200_000_000
"""Free room below which the call store is warned of: a run of 200 items over a few models takes some megabytes."""

PEAK = 2.0
"""Memory at the worst moment over the weights in the number format that is computed in: they are packed anew."""
PEAK_BYTES = 1_000_000_000
"""On top of that: torch, the libraries, and the work itself."""


def folders(settings: Settings) -> Iterator[Finding]:
    """Whether datasets, calls and weights can be written."""
    places = {"datasets": (Path(settings.generated), "Set MWE_GENERATED, or use --generated, to name another folder.")}
    if has_local_extra():
        places["weights"] = (models_folder(), "Set MWE_MODELS_DIR to another folder.")
    for subject, (folder, advice) in places.items():
        if reason := unwritable(folder):
            detail = f"{folder.absolute()} cannot be written: {reason}"
            yield Finding(subject=subject, state="broken", detail=detail, advice=advice)
        else:
            yield Finding(subject=subject, state="ok", detail=f"{folder.absolute()} can be written")


def unwritable(folder: Path) -> str | None:
    """Why nothing can be written into a folder, or into the nearest that is there; None where it can."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        # A file without a name, which nobody sees and which goes by itself.
        with tempfile.TemporaryFile(dir=there):
            return None
    except OSError as error:
        return error.strerror or str(error)


def call_store() -> Iterator[Finding]:
    """Whether the call store is there, opens, and takes what would be written.

    Nothing is changed in it, unless it is damaged: opening it then mends it, as any other command would.
    """
    mended: list[str] = []
    store = CallStore(note=mended.append)
    advice = "Free the disk, or set MWE_CACHE_DIR to another folder."
    if not store.path.exists():
        if reason := unwritable(store.path.parent):
            detail = f"{store.path.parent} cannot be written: {reason}"
            yield Finding(subject="call store", state="broken", detail=detail, advice=advice)
        else:
            yield Finding(subject="call store", state="ok", detail=f"{store.path} will be made at the first call")
        return
    try:
        store.get(["00" * 32])
        store.put("doctor", {})
    finally:
        store.close()
    detail = f"{store.path}, {size(store.path.stat().st_size)}"
    if mended:
        yield Finding(subject="call store", state="warn", detail=" ".join([detail, *mended]))
    else:
        yield Finding(subject="call store", state="ok", detail=detail)


def disk(models: Sequence[str]) -> Iterator[Finding]:
    """Free room for calls, and for those of `models` that are not installed yet."""
    free = _free(default_folder())
    state: State = "warn" if free < CALLS_BYTES else "ok"
    advice = "Make room, or set MWE_CACHE_DIR to a folder on another disk." if state == "warn" else None
    yield Finding(subject="disk for calls", state=state, detail=f"{size(free)} free", advice=advice)
    missing = [row for row in rows_of(models) if not row.installed]
    if not has_local_extra() or not missing:
        return
    # One is installed after the other, so only one is at its worst moment.
    needed = sum(row.installed_bytes for row in missing) + max(row.disk_bytes - row.installed_bytes for row in missing)
    free = _free(models_folder())
    detail = f"{size(free)} free in {models_folder()}, {size(needed)} needed to install the models of the defaults"
    short = free < needed
    advice = "Make room, or set MWE_MODELS_DIR to a folder on another disk." if short else None
    yield Finding(subject="disk for weights", state="broken" if short else "ok", detail=detail, advice=advice)


def memory(models: Sequence[str], found: Memory | None = None) -> Iterator[Finding]:
    """Memory against what `models`, all loaded at once, take at their worst moment."""
    found = found or read_memory()
    if found.available is None or found.total is None:
        yield Finding(subject="memory", state="ok", detail="this system does not say how much there is")
        return
    limit = f", of which this container may have {size(found.limit)}" if found.limit else ""
    detail = f"{size(found.total)}{limit}; {size(found.available)} free"
    weights = _weights(models)
    if not weights:
        yield Finding(subject="memory", state="ok", detail=detail)
        return
    needed = round(PEAK * weights + PEAK_BYTES)
    detail += f", about {size(needed)} needed by the models of the defaults"
    advice = "Close other programs, or choose a smaller model or one behind an API with MWE_MODEL and MWE_JUDGE."
    if found.available >= needed:
        yield Finding(subject="memory", state="ok", detail=detail)
    else:
        state: State = "broken" if found.available < weights else "warn"
        yield Finding(subject="memory", state=state, detail=detail, advice=advice)


def rows_of(models: Sequence[str]) -> list[Row]:
    """The catalogue's rows of those of `models` that are in it, each once."""
    names = {model.removeprefix("local/").lower() for model in models if model.startswith("local/")}
    return [row for row in _installed.catalogue() if row.name.lower() in names]


def _weights(models: Sequence[str]) -> int:
    """Bytes of the weights in memory, on the processor; those of models outside the catalogue are not known."""
    if not has_local_extra() or choose_device() != "cpu":
        return 0
    # The catalogue's weights are 16 bits wide.
    factor = 2 if choose_dtype("cpu") == "float32" else 1
    entries = _catalogue.load()
    return sum(
        row.installed_bytes * (1 if entries[row.name].kind == "embedding" else factor) for row in rows_of(models)
    )


def _free(folder: Path) -> int:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free
