"""What the reports of many behaviours say together: sweep.json. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.reported import Report
from pipeline.scaling.common import CommonTrend, Slope, common_trend, design_of, grid, lines, residual_trends
from pipeline.scaling.discovery import Discovery, discovery, q_values, smallest_p
from pipeline.schema import Point, Record
from pipeline.statistics.concordance import Agreement, Pair, pairs


@dataclass(frozen=True)
class Part:
    """One behaviour of a sweep."""

    title: str
    report: Report
    page: str | None = None
    """Its own page, relative to that of the sweep."""
    agreement: Agreement | None = None
    """How its models agree item by item."""


@dataclass(frozen=True)
class Anchor:
    """A behaviour that is in every sweep, where nothing should change but the model as a whole."""

    name: str
    description: str
    points: Sequence[Point]


class BehaviourRow(Record):
    """One behaviour among many. Slopes are in points a decade, over all families with two sizes or more."""

    dataset: str
    description: str | None
    undesired: str | None
    verdict: str
    """As its own report says: without regard to how many behaviours were tested."""
    mechanism: str
    inverse_scaling: bool | None
    models: int
    """Models that the slope rests on."""
    line: Slope | None
    smallest_p: float | None
    """The smallest p that these models could reach."""
    q_value: float | None
    """False discovery rate at which the trend would be called found."""
    residual: Slope | None
    """The line of its scores less the mean over all behaviours."""
    scores: dict[str, float]
    """Score by model, in 0..1."""
    page: str | None


class AnchorRow(Record):
    """What the models make of an anchor."""

    name: str
    description: str
    line: Slope | None
    scores: dict[str, float]


class Prediction(Record):
    """How well a smaller model's answers foretell a larger one's, item by item."""

    model: str
    family: str | None
    parameters: int | None
    target: str
    pair: Pair


class SweepReport(Record):
    """sweep.json: many behaviours, one ladder."""

    models: list[str]
    """In order of family and size."""
    behaviours: list[BehaviourRow]
    discovery: Discovery
    common: CommonTrend
    anchors: list[AnchorRow]
    agreement: list[Pair]
    """Each pair of models once."""
    predictions: list[Prediction]
    """For the largest model of all, and the largest of each family of three sizes and more."""
    failures: list[str]
    """What could not be read or reported."""


def build(parts: Sequence[Part], anchors: Sequence[Anchor] = (), failures: Sequence[str] = ()) -> SweepReport:
    """Everything that a sweep says, from the reports of its behaviours."""
    designs = [design_of(part.report.points) for part in parts]
    slopes = [_line(part.report.points) for part in parts]
    reachable = [smallest_p(design[0]) if design else None for design in designs]
    p_values = [line.p_value if line else None for line in slopes]
    table = grid([part.report.points for part in parts])
    residuals = residual_trends(table)
    points = _models(parts)
    names = list(points)
    scores = {name: [_score(part.report.points, name) for part in parts] for name in names}
    found = pairs([part.agreement for part in parts if part.agreement], scores)
    return SweepReport(
        models=names,
        behaviours=[
            _row(part, line, reach, q, len(design[1]) if design else 0, residuals.get(i))
            for i, (part, line, reach, q, design) in enumerate(
                zip(parts, slopes, reachable, q_values(p_values), designs, strict=True)
            )
        ],
        discovery=discovery(p_values, reachable),
        common=common_trend(table),
        anchors=[
            AnchorRow(
                name=each.name, description=each.description, line=_line(each.points), scores=_scores(each.points)
            )
            for each in anchors
        ],
        agreement=found,
        predictions=predictions(list(points.values()), found),
        failures=list(failures),
    )


def predictions(points: Sequence[Point], found: Sequence[Pair]) -> list[Prediction]:
    """Each model of known size beside the largest of all, and the members of a family beside its largest."""
    sized = [point for point in points if point.parameters]
    groups = [sized] + [
        [point for point in sized if point.family == family] for family in sorted({p.family for p in sized if p.family})
    ]
    targets: dict[str, list[Point]] = {}
    for i, group in enumerate(groups):
        if len(group) > (2 if i else 1):
            largest = max(group, key=lambda point: (point.parameters or 0, point.model))
            # The largest of all is foretold by models of every family, and so by its own.
            targets.setdefault(largest.model, [point for point in group if point is not largest])
    known = {frozenset((pair.one, pair.other)): pair for pair in found}
    return [
        Prediction(model=p.model, family=p.family, parameters=p.parameters, target=target, pair=pair)
        for target, others in targets.items()
        for p in sorted(others, key=lambda point: (point.parameters or 0, point.model))
        if (pair := known.get(frozenset((p.model, target))))
    ]


def _row(
    part: Part, line: Slope | None, reach: float | None, q: float | None, models: int, residual: Slope | None
) -> BehaviourRow:
    report = part.report
    return BehaviourRow(
        dataset=part.title,
        description=report.behaviour.description if report.behaviour else None,
        undesired=report.behaviour.undesired if report.behaviour else None,
        verdict=report.trend.verdict,
        mechanism=report.trend.mechanism,
        inverse_scaling=report.inverse_scaling,
        models=models,
        line=line,
        smallest_p=reach,
        q_value=q,
        # Without a usable line of its own, what a behaviour does beyond the others says nothing either.
        residual=residual if line else None,
        scores=_scores(report.points),
        page=part.page,
    )


def _line(points: Sequence[Point]) -> Slope | None:
    import numpy as np

    found = design_of(points)
    return lines(found[0], np.array([[100 * point.score for point in found[1]]]))[0] if found else None


def _models(parts: Sequence[Part]) -> dict[str, Point]:
    """A point of each model as it is, without variants, in order of family and size."""
    points = [point for part in parts for point in part.report.points if point.variant is None]
    points.sort(key=lambda p: (p.family or "~", p.parameters or 0, p.model))
    return {point.model: point for point in points}


def _scores(points: Sequence[Point]) -> dict[str, float]:
    return {point.model: point.score for point in points if point.variant is None}


def _score(points: Sequence[Point], model: str) -> float | None:
    return _scores(points).get(model)
