"""labels.jsonl: what raters said of a version's items, appended durably, and how far they agree with the dataset."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import PipelineError, UsageError
from pipeline.schema import Label
from pipeline.statistics.intervals import interval_of_proportion


def read(path: Path) -> list[Label]:
    """The labels of a file, at most one an item and rater (the last); none where there is no file.

    A last line that is cut short is what a kill left of a write, and is passed over.
    Raises UsageError, with the line's number, for any other line that is not a label.
    """
    latest: dict[tuple[str, str], Label] = {}
    for number, line in enumerate(_content(path).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            label = Label.model_validate_json(line)
        except ValidationError as error:
            raise UsageError(
                f"line {number} of {path} is not a label ({error.errors()[0]['msg']}); mend or remove that line"
            ) from None
        latest.pop((label.id, label.rater), None)
        latest[label.id, label.rater] = label
    return list(latest.values())


def append(path: Path, label: Label) -> None:
    """Adds one label; it is on the disk when this returns. What a kill left of a line is cut off first.

    Raises PipelineError where the file cannot be written; the labels before this one are kept.
    """
    content = _content(path)
    with _writing(path), path.open("r+b" if path.exists() else "wb") as file:
        stored = min(len(content), file.seek(0, os.SEEK_END))
        file.truncate(stored)
        file.seek(stored)
        file.write(content[stored:] + label.model_dump_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def take_back(path: Path, label: Label) -> None:
    """Removes a label again: the file is replaced as a whole by one without that item and rater."""
    kept = [other for other in read(path) if (other.id, other.rater) != (label.id, label.rater)]
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
    """How often raters found the dataset's label right, and how often an item off topic.

    `agreement` is right / (right + wrong), `off_topic` the share of off-topic among items with a clear relevance.
    Each comes with its 95 % Wilson interval, cluster-robust where several raters saw one item; None without labels.
    """
    judged = [label for label in labels if label.label != "unclear"]
    placed = [label for label in labels if label.relevance != "unclear"]
    right, low, high = _share(judged, [label.label == "right" for label in judged])
    off, off_low, off_high = _share(placed, [label.relevance == "off_topic" for label in placed])
    return {
        "labels": len(labels),
        "right": sum(label.label == "right" for label in labels),
        "wrong": sum(label.label == "wrong" for label in labels),
        "unclear": sum(label.label == "unclear" and label.relevance != "off_topic" for label in labels),
        "agreement": right,
        "low": low,
        "high": high,
        "off_topic_labels": sum(label.relevance == "off_topic" for label in labels),
        "off_topic": off,
        "off_topic_low": off_low,
        "off_topic_high": off_high,
        "raters": sorted({label.rater for label in labels}),
        "rater_kinds": sorted({label.rater_kind for label in labels}),
    }


def in_words(figures: dict[str, Any]) -> list[str]:
    """The figures of `agreement` as sentences."""
    if not figures["labels"]:
        return ["No item has been labelled yet."]
    said = []
    judged = figures["right"] + figures["wrong"]
    if judged:
        said.append(
            f"The dataset's label is right in {figures['right']} of {judged} judged items: "
            f"{100 * figures['agreement']:.0f} % "
            f"(95 % interval {100 * figures['low']:.0f} % to {100 * figures['high']:.0f} %)."
        )
    else:
        said.append("No label was judged right or wrong.")
    if figures["off_topic"] is not None:
        placed = judged + figures["off_topic_labels"]
        said.append(
            f"Off topic: {figures['off_topic_labels']} of {placed} "
            f"({100 * figures['off_topic_low']:.0f} % to {100 * figures['off_topic_high']:.0f} %)."
        )
    if figures["unclear"]:
        said.append(f"Unclear, and counted in neither: {figures['unclear']}.")
    return said


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
