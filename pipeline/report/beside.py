"""What a report says of anything but size: other axes, quantisation, variants of one model. Sentences; pure."""

from __future__ import annotations

from pipeline.schema import AlongAxis, Report, Shift

CLIMBS = {
    "parameters": "parameters",
    "training_tokens": "training tokens",
    "rl_steps": "RL steps",
    "steps": "training steps",
    "best_of": "replies to choose from",
    "order": "places in the order",
    "type": "types of model",
}
"""What grows along an axis, as a decade or a step of it is called."""


def sentences(report: Report) -> list[str]:
    """A sentence or two for each axis other than size, and for each change whose effect two points show."""
    return [*map(_of_axis, report.along), *map(_of_shift, report.shifts)]


def _of_axis(along: AlongAxis) -> str:
    said = [f"Over {len(along.models)} {CLIMBS[along.axis]} ({_named(along)})"]
    trend = along.trend
    if trend is not None and trend.slope_points_per_decade is not None:
        ends = "" if trend.slope_low is None else f" [{trend.slope_low:+.1f}, {trend.slope_high:+.1f}]"
        said.append(f"the trend is {trend.verdict}, {trend.slope_points_per_decade:+.1f} points a decade{ends}")
    if along.order_p is not None and along.order_statistic is not None:
        said.append(
            f"the rank correlation of order and score is {along.order_statistic:+.2f} (p {along.order_p:.3f}; so few "
            f"places reach {along.order_smallest_p:.3g} at the least)"
        )
    if len(said) == 1:
        said.append("there are too few places for a test")
    left = f" Not in the fit: {'; '.join(along.left_out)}." if along.left_out else ""
    return f"{said[0]}, {', and '.join(said[1:])}.{left}"


def _named(along: AlongAxis) -> str:
    first, last = along.models[0], along.models[-1]
    return first if first == last else f"{first} to {last}"


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
