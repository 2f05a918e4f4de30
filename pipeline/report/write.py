"""Writes a dataset's report: report.json, scaling.png, scaling.svg and report.html."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.report import facts, page, plot
from pipeline.report.facts import ReportInput
from pipeline.schema import Report

__all__ = ["ReportInput", "write_report"]


def write_report(given: ReportInput, folder: Path) -> Report:
    """Makes the four files in `folder`, which is created; the same input gives the same bytes.

    Each file is replaced as a whole, so a reader never sees half of one.
    """
    report = facts.build(given)
    pictures = plot.draw(report)
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "report.json", (report.model_dump_json(indent=2) + "\n").encode())
    for form, content in pictures.items():
        _replace(folder / f"scaling.{form}", content)
    _replace(folder / "report.html", page.render(report, given, pictures["svg"]).encode())
    return report


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
