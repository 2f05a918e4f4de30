"""labels.jsonl: what raters said of a version's items, appended durably, and how far they agree with the dataset."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from pipeline.errors import PipelineError, UsageError
from pipeline.schema import Label, RaterKind
from pipeline.statistics.intervals import interval_of_proportion
from pipeline.store import first_problem, read_rows

RATER_KINDS: tuple[RaterKind, ...] = get_args(RaterKind)
"""People first: where both rated, theirs count."""


def read(path: Path) -> list[Label]:
    """The labels of a file, at most one an item and rater (the last); none where there is no file.

    A last line that is cut short is what a kill left of a write, and is passed over.
    Raises UsageError, with the line's number, for any other line that is not a label.
    """
    latest: dict[tuple[str, str, str], Label] = {}
    for number, line in enumerate(_content(path).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            label = Label.model_validate_json(line)
        except ValidationError as error:
            raise UsageError(
                f"line {number} of {path} is not a label ({error.errors()[0]['msg']}); mend or remove that line"
            ) from None
        latest.pop(_rating(label), None)
        latest[_rating(label)] = label
    return list(latest.values())


def _rating(label: Label) -> tuple[str, str, str]:
    """Whose opinion on what it is: a person and a model of one name are two raters."""
    return label.id, label.rater, label.rater_kind


def append(path: Path, *labels: Label) -> None:
    """Adds labels; they are on the disk when this returns. What a kill left of a line is cut off first.

    Raises PipelineError where the file cannot be written; the labels before this one are kept.
    """
    content = _content(path)
    with _writing(path), path.open("r+b" if path.exists() else "wb") as file:
        stored = min(len(content), file.seek(0, os.SEEK_END))
        file.truncate(stored)
        file.seek(stored)
        file.write(content[stored:] + b"".join(label.model_dump_json().encode() + b"\n" for label in labels))
        file.flush()
        os.fsync(file.fileno())


def bring_in(path: Path, source: Path, ids: Container[str]) -> tuple[int, int]:
    """Adds the labels of a JSONL file made elsewhere, as the latest of their raters.

    All rows are checked before the first is added. Labels that are there already, word for word, and labels of items
    that are not among `ids` are passed over. Returns how many were added, and how many are of other items.
    Raises UsageError for a file that cannot be read, a line that is no label, or where none is of these items.
    """
    given = list(_rows(source))
    known = [label for label in given if label.id in ids]
    if not known:
        raise UsageError(f"{source} holds no label of an item of this dataset; labels name their items by `id`")
    there = set(read(path))
    new = [label for label in known if label not in there]
    if new:
        append(path, *new)
    return len(new), len(given) - len(known)


def _rows(source: Path) -> Iterator[Label]:
    for number, row in read_rows(source):
        try:
            label = Label.model_validate(row)
            datetime.fromisoformat(label.time)
        except ValidationError as error:
            raise UsageError(f"{source}, line {number} is no label: {first_problem(error)}") from None
        except ValueError:
            raise UsageError(f"{source}, line {number} has a time that is not ISO 8601: {label.time[:40]!r}") from None
        if not label.rater.strip():
            raise UsageError(f"{source}, line {number} names no rater")
        yield label


def take_back(path: Path, label: Label) -> None:
    """Removes a label again: the file is replaced as a whole by one without that item and rater."""
    kept = [other for other in read(path) if _rating(other) != _rating(label)]
    part = path.with_name(path.name + ".part")
    with _writing(path):
        with part.open("wb") as file:
            file.write(b"".join(other.model_dump_json().encode() + b"\n" for other in kept))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise PipelineError(f"the label cannot be written to {path}: {error.strerror}") from error


def agreement(labels: Sequence[Label]) -> dict[str, Any]:
    """How often raters found the dataset's label right, and how often an item off topic, as counted.

    People's labels where there are any, else models': `rater_kind` says which, and the two are never counted together.
    `agreement` is right / (right + wrong), `off_topic` the share of off-topic among labels with a clear relevance.
    Each comes with its 95 % Wilson interval, cluster-robust where several raters saw one item; None without labels.
    """
    kind = next((kind for kind in RATER_KINDS if any(label.rater_kind == kind for label in labels)), None)
    labels = [label for label in labels if label.rater_kind == kind]
    judged = [label for label in labels if label.label != "unclear"]
    placed = [label for label in labels if label.relevance != "unclear"]
    right, low, high = _share(judged, [label.label == "right" for label in judged])
    off, off_low, off_high = _share(placed, [label.relevance == "off_topic" for label in placed])
    return {
        "labels": len(labels),
        "right": sum(label.label == "right" for label in labels),
        "wrong": sum(label.label == "wrong" for label in labels),
        "unclear": sum(is_unclear(label) for label in labels),
        "agreement": right,
        "low": low,
        "high": high,
        "off_topic_labels": sum(label.relevance == "off_topic" for label in labels),
        "off_topic": off,
        "off_topic_low": off_low,
        "off_topic_high": off_high,
        "raters": sorted({label.rater for label in labels}),
        "rater_kind": kind,
    }


def is_unclear(label: Label) -> bool:
    """Whether a label says neither right nor wrong of an item that is not off topic."""
    return label.label == "unclear" and label.relevance != "off_topic"


def _share(labels: Sequence[Label], values: list[bool]) -> tuple[float | None, float | None, float | None]:
    if not values:
        return None, None, None
    number: dict[str, int] = {}
    interval = interval_of_proportion(values, [number.setdefault(label.id, len(number)) for label in labels])
    return sum(values) / len(values), interval.low, interval.high


def _content(path: Path) -> bytes:
    """The bytes of a file without a last line that was cut short; a whole last line gets the end it may lack."""
    content = path.read_bytes() if path.exists() else b""
    whole, last = content[: content.rfind(b"\n") + 1], content[content.rfind(b"\n") + 1 :]
    try:
        Label.model_validate_json(last)
    except ValidationError:
        return whole
    return content + b"\n"
