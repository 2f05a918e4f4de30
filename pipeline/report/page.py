"""report.html: one self-contained page, without scripts and requests; everything from outside is escaped."""

from __future__ import annotations

import base64
from importlib.resources import files
from typing import Any

from pipeline.report import facts
from pipeline.report.beside import sentences
from pipeline.report.series import short_size
from pipeline.scaling.curves import left_out
from pipeline.schema import CANARY, Report

EXTRA = {
    "position_bias": "Position<br>bias %",
    "refusal_rate": "Refused<br>%",
    "bounded_rate": "Bounded<br>%",
    "comprehension": "Compre-<br>hension %",
}
"""Figures of a point that have a column where there is something to show."""

METHODS = {"ppi": "prediction-powered inference", "rogan-gladen": "Rogan and Gladen\u2019s formula"}
"""Ways to correct a score, as the page calls them."""

_ONLY_ABOVE_ZERO = {"refusal_rate", "bounded_rate"}


def render(report: Report, given: facts.ReportInput, svg: bytes) -> str:
    """The page of a report; `svg` is the plot. A value that is None shows as "-"."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=shown, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": percent, "signed": signed, "points": _points, "probability": probability,
        "size": _size, "option": _option,
    }  # fmt: skip
    source = files("pipeline.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source).render(
        report=report,
        trend=report.trend,
        given=given,
        manifest=given.manifest,
        headline=facts.headline(report),
        beside=sentences(report),
        plot="data:image/svg+xml;base64," + base64.b64encode(svg).decode(),
        sample=facts.sample(given.items, given.seed),
        weakest=facts.weakest(given.items),
        rejected=facts.rejected_examples(given.rejected, given.seed),
        labels=facts.labels(given.items),
        counts=facts.flat(given.manifest.counts) if given.manifest else [],
        commands=facts.commands(given),
        points=[(point, left_out(point)) for point in report.points],
        corrected=_who_corrected(report),
        methods=[METHODS[m] for m in sorted({point.correction for point in report.points if point.correction})],
        extra={name: title for name, title in EXTRA.items() if _is_worth_a_column(report, name)},
        canary=given.manifest.canary if given.manifest else CANARY,
    )


def shown(value: Any) -> Any:
    """What stands on the page for a value: "-" for None, text without control and reading-order characters."""
    if value is None:
        return "-"
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return facts.visible(value)
    return value


def percent(value: float | None, digits: int = 1) -> str | None:
    """A rate of 0..1 in percent, without the sign."""
    return None if value is None else f"{100 * value:.{digits}f}"


def signed(value: float | None, digits: int = 1) -> str | None:
    """A difference with its sign, a true minus included."""
    return None if value is None else f"{value:+.{digits}f}".replace("-", "\u2212")


def _points(value: float | None) -> str | None:
    """A difference of rates as percentage points with its sign."""
    return None if value is None else signed(100 * value)


def probability(value: float | None) -> str | None:
    """A p-value: three digits, never 0."""
    return None if value is None else "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def _size(parameters: float | None) -> str | None:
    return None if parameters is None else short_size(parameters)


def _option(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _who_corrected(report: Report) -> list[str]:
    """Whose labels corrected the scores; nobody where none is corrected."""
    names = {"person": "people", "model": "a model"}
    kinds = {point.correction_rater_kind for point in report.points}
    return [name for kind, name in names.items() if kind in kinds]


def _is_worth_a_column(report: Report, name: str) -> bool:
    values = [getattr(point, name) for point in report.points]
    return any(values) if name in _ONLY_ABOVE_ZERO else any(value is not None for value in values)
