"""Trends along axes other than size: training tokens, steps, RL steps, best of k, an order, types of models. Pure.

Where distances mean something the tests are those of size, over the logarithm of the axis (`trend.py`); otherwise ranks
alone are tested (`ordinal.py`). A point lies on one axis, and never on a curve of sizes at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.scaling.curves import curves, left_out
from pipeline.scaling.families import SharedItems
from pipeline.scaling.ordinal import ordered
from pipeline.scaling.trend import trend
from pipeline.schema import Axis, Point
from pipeline.trends import AlongAxis, OrderTest, Trend

DISTANCES: tuple[Axis, ...] = ("training_tokens", "rl_steps", "steps")
"""Axes with a logarithmic scale whose points are measured apart from one another."""

NOTES: dict[Axis, str] = {
    "training_tokens": "models that saw more tokens of one run are not independent of those that saw fewer",
    "rl_steps": "checkpoints of one run are not independent: neighbours are alike, which makes a chance trend likelier",
    "steps": "checkpoints of one run are not independent: neighbours are alike, which makes a chance trend likelier",
    "best_of": (
        "nothing is tested: these are the answers of one model, which change with k by construction; what is uncertain "
        "is the choice of items, in the intervals of the shifts"
    ),
    "order": "the distances between the places are not known, and the order itself is the provider's",
    "type": "the order of the types is that of the ladder",
}


def on_size(points: Sequence[Point]) -> list[Point]:
    """The points that lie on the axis of size."""
    return [point for point in points if point.axis is None]


def over_compute(points: Sequence[Point], shared: SharedItems | None = None) -> Trend | None:
    """The trend over training compute, on which families can be compared that saw different numbers of tokens.

    None where fewer than two families have a known number of tokens at two places.
    """
    sized = on_size(points)
    if len({curve.family for curve in curves(sized, "compute") if len(curve.sizes) > 1}) < 2:
        return None
    return trend(sized, axis="compute", shared=shared)[0]


def along(points: Sequence[Point]) -> list[AlongAxis]:
    """What happens along every other axis there is, by axis and family.

    The plain model takes part where its variants do: as the best of one reply, and as the first type.
    """
    groups: dict[tuple[str, ...], list[Point]] = {}
    for point in points:
        if point.axis is not None and point.axis_value is not None:
            groups.setdefault(_group(point), []).append(point)
    return [_along(_with_plain(group, points)) for _, group in sorted(groups.items())]


def _with_plain(group: Sequence[Point], points: Sequence[Point]) -> list[Point]:
    """The points of a group in order, and the plain models that variants among them are compared with."""
    wanted = {point.baseline for point in group if point.axis in ("best_of", "type")}
    plain = [point for point in points if point.variant is None and point.axis is None and point.model in wanted]
    first = [point.model_copy(update={"axis": group[0].axis, "axis_value": 1.0}) for point in plain]
    return sorted([*first, *group], key=lambda point: (_value(point), point.label))


def _group(point: Point) -> tuple[str, ...]:
    """Types may be replicated over families; elsewhere families and sizes are apart."""
    if point.axis == "type":
        return ("type",)
    own = () if point.axis == "order" else (str(point.parameters), *((point.model,) if point.axis == "best_of" else ()))
    return str(point.axis), str(point.family), *own


def _along(points: Sequence[Point]) -> AlongAxis:
    axis = points[0].axis or "order"
    reasons = {point.label: why for point in points if (why := _unfit(point))}
    found = trend(points, axis="axis_value")[0] if axis in DISTANCES else None
    at_zero = {point.label: _NO_PLACE for point in points if found and _value(point) <= 0}
    return AlongAxis(
        axis=axis,
        models=[point.label for point in points],
        values=[_value(point) for point in points],
        scores=[point.score for point in points],
        trend=found,
        left_out=[] if axis == "best_of" else [f"{label} {why}" for label, why in {**at_zero, **reasons}.items()],
        order=_order([point for point in points if point.label not in reasons]) if axis != "best_of" else None,
        note=NOTES[axis],
    )


_NO_PLACE = "lies at 0, which a logarithmic axis has no place for (in the test of the order it takes part)"


def _unfit(point: Point) -> str | None:
    """Why a point can take part in no test, wherever it lies."""
    return left_out(point.model_copy(update={"axis_value": 1.0}), "axis_value")


def _value(point: Point) -> float:
    return 0.0 if point.axis_value is None else point.axis_value


def _order(points: Sequence[Point]) -> OrderTest | None:
    """A test of ranks, which 0 on the axis takes part in; None for a single place."""
    values = sorted({_value(point) for point in points})
    if len(values) < 2:
        return None
    return ordered([values.index(_value(point)) for point in points], [point.score for point in points])
