"""Writes a dataset's report: report.json, report.html, and pictures at page and column width as PNG and SVG."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.report import atlas, facts, page, plot
from pipeline.report.canvas import COLUMN, picture
from pipeline.report.climbs import compose
from pipeline.report.facts import ReportInput
from pipeline.schema import Report
from pipeline.store import write_whole

__all__ = ["ReportInput", "write_report"]


def write_report(given: ReportInput, folder: Path) -> Report:
    """Makes the files in `folder`, which is created; the same input gives the same bytes.

    Each file is replaced as a whole, so a reader never sees half of one.
    Raises PipelineError where the folder cannot be written.
    """
    report = facts.build(given)
    pictures, column = plot.draw(report), plot.draw(report, width=COLUMN)
    climbs = picture(lambda figure: compose(figure, report), salt="along") if report.along else {}
    maps = {} if given.vectors is None else atlas.draw(given.vectors, given.items)
    files = {
        "report.json": (report.model_dump_json(indent=2) + "\n").encode(),
        **{f"scaling.{form}": content for form, content in pictures.items()},
        **{f"scaling-column.{form}": content for form, content in column.items()},
        **{f"along.{form}": content for form, content in climbs.items()},
        **{f"map{name}": content for name, content in maps.items()},
        "report.html": page.render(report, given, pictures["svg"], maps.get(".svg"), climbs.get("svg")).encode(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_whole(folder / name, content)
    except OSError as error:
        raise PipelineError(f"the report cannot be written to {folder}: {error.strerror}") from error
    return report
