"""What a report says of anything but size: other axes, quantisation, variants of one model. Sentences; pure."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.report.facts import GROWS
from pipeline.reported import Registered, Report
from pipeline.trends import AlongAxis, Shift, Trend


def sentences(report: Report) -> list[str]:
    """What to know of the ladders, then a sentence or two for each other axis and for each change that points show."""
    notes = [f"Of the ladder {note}" for note in report.ladder_notes]
    compute = [_of_compute(report.over_compute)] if report.over_compute else []
    return [*notes, *compute, *map(_of_axis, report.along), *map(_of_shift, report.shifts)]


def registrations(report: Report) -> list[str]:
    """A sentence or two for each pre-registration: what it says, and what deviates from it."""
    return [_registered(each) for each in report.preregistrations]


def _registered(each: Registered) -> str:
    said = each.registration
    unit = "points a decade" if said.shape == "line" else "points of depth"
    what = (
        f"Pre-registered on {said.created_at} ({each.file}, {said.sha256[:8]}): {said.effect:+g} {unit} on "
        f"{' + '.join(said.ladders)}, {len(said.models)} models, {said.items:,} items, power {said.power:.2f}, "
        f"undesired {said.behaviour.undesired!r}, slope at the level {said.test.slope_level:.3f}"
    )
    return f"{what}. Deviations: {'; '.join(each.deviations)}." if each.deviations else f"{what}. Nothing deviates."


def _of_compute(trend: Trend) -> str:
    fitted = " and ".join(dict.fromkeys(each.family for each in trend.families if each.in_verdict))
    return (
        f"Over training compute (6 x parameters x training tokens), {fitted}, a line of its own height for each: "
        f"{_slope(trend)}."
    )


def _slope(trend: Trend) -> str:
    """The verdict with the slope and its interval, where there are any."""
    if trend.slope_points_per_decade is None:
        return _VERDICTS[trend.verdict]
    ends = "" if trend.slope_low is None else f" [{trend.slope_low:+.1f}, {trend.slope_high:+.1f}]"
    return f"{_VERDICTS[trend.verdict]}, {trend.slope_points_per_decade:+.1f} points a decade{ends}"


def _of_axis(along: AlongAxis) -> str:
    ends = f"{along.models[0]} ({100 * along.scores[0]:.1f} %) to {along.models[-1]} ({100 * along.scores[-1]:.1f} %)"
    said = [f"Along {GROWS[along.axis]}, {len(along.models)} models, {ends}:", *_tested(along)]
    left = f" Not in the trend: {'; '.join(along.left_out)}." if along.left_out else ""
    return f"{' '.join(said)}{left} {along.note[0].upper()}{along.note[1:]}."


_VERDICTS = {
    "rises": "the score rises",
    "falls": "the score falls",
    "flat": "the score is flat",
    "U": "the score falls and then rises",
    "inverted U": "the score rises and then falls",
    "undecided": "undecided",
}


def _tested(along: AlongAxis) -> Iterator[str]:
    """What the tests say; nothing where nothing is tested."""
    trend, order = along.trend, along.order
    if trend is not None and trend.slope_points_per_decade is not None:
        yield f"{_slope(trend)}."
    if order is not None:
        verdict = "is undecided" if order.verdict == "undecided" else order.verdict
        yield (
            f"By ranks it {verdict} (tau {order.statistic:+.2f}, "
            f"p {order.p_value:.3f}; perfect order would have {order.smallest_p:.3f})."
        )


def _of_shift(each: Shift) -> str:
    said = (
        f"the score moves by {each.points:+.1f} points [{each.low:+.1f}, {each.high:+.1f}] over the same "
        f"{each.n:,} items, and {100 * each.flipped:.1f} % of the answers turn round"
    )
    if each.what == "quantisation":
        return (
            f"{each.after} differs from {each.before} in quantisation alone ({each.change}): {said}. Differences of "
            "that size between points quantised differently are no trend."
        )
    bound = "" if each.kl_bound is None else f" (the best of k is at most {each.kl_bound:.2f} away)"
    return (
        f"{each.after} against {each.before}: {said}; the answers are {each.kl:.3f} nats from those of the plain "
        f"model{bound}."
    )
