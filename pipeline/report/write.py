"""Writes a dataset's report: report.json, scaling.png, scaling.svg and report.html."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.report import facts, page, plot
from pipeline.report.facts import ReportInput
from pipeline.schema import Report

__all__ = ["ReportInput", "write_report"]


def write_report(given: ReportInput, folder: Path) -> Report:
    """Makes the four files in `folder`, which is created; the same input gives the same bytes.

    Each file is replaced as a whole, so a reader never sees half of one.
    Raises PipelineError where the folder cannot be written.
    """
    report = facts.build(given)
    pictures = plot.draw(report)
    files = {
        "report.json": (report.model_dump_json(indent=2) + "\n").encode(),
        **{f"scaling.{form}": content for form, content in pictures.items()},
        "report.html": page.render(report, given, pictures["svg"]).encode(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            _replace(folder / name, content)
    except OSError as error:
        raise PipelineError(f"the report cannot be written to {folder}: {error.strerror}") from error
    return report


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
