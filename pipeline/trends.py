"""What is told of a curve: its trend, family by family, along other axes than size, and what a single change does."""

from __future__ import annotations

from typing import Literal

from pipeline.schema import Axis, Record

TrendVerdict = Literal["rises", "falls", "flat", "U", "inverted U", "undecided"]


class Curvature(Record):
    """A quadratic in log10 size through the families of at least six sizes."""

    p_value: float
    """Two-sided, by permutation of the quadratic contrast within families."""
    level: float
    """What p must not exceed for a turn; the slope has the rest of .05."""
    contrast: float
    """Coefficient of (log10 size)^2, in points a decade squared; above 0 for a U."""
    vertex_parameters: float | None
    """Size at which it turns; None where that lies outside the sizes."""
    arm_before: float
    """Points by which it moves from the smallest size to the vertex; 0 where the vertex lies outside the sizes."""
    arm_after: float
    """The same from the vertex to the largest size."""
    breakpoint_parameters: float | None = None
    """Where two joined lines meet that fit best; to draw, never tested."""
    slope_before: float | None = None
    slope_after: float | None = None


class FamilyTrend(Record):
    """The trend of one family alone: its models that were measured alike."""

    family: str
    kind: str
    rendering: str
    variant: str | None
    verdict: TrendVerdict
    sizes: int
    """Distinct sizes of the curve."""
    slope: float
    """Points a decade."""
    low: float | None
    high: float | None
    """95 % t interval of the slope; None below three points."""
    p_value: float | None
    in_verdict: bool
    """It is one of the families that the verdict rests on."""


class MechanismFigures(Record):
    """What the mechanism of a trend was told from: one way of taking comprehension out of the score."""

    against: Literal["comprehension", "controls"]
    """What the score is compared with: right answers to the comprehension question, or the two controls."""
    link: Literal["mixture", "probit"]
    """How growing comprehension would move the score if propensity stayed the same."""
    change: float
    """Change of the propensity over the span, in points, along the best line."""
    low: float
    high: float
    """95 % t interval of it."""


class Trend(Record):
    """What happens to the score as models grow. Slopes are in percentage points a decade of parameters."""

    verdict: TrendVerdict
    mechanism: Literal["propensity", "from_chance", "undetermined"]
    slope_points_per_decade: float | None
    slope_low: float | None
    slope_high: float | None
    slope_logit_per_decade: float | None
    interval_method: str | None
    p_value: float | None
    change: float | None
    """Fitted change of the score over the observed span, in points."""
    margin: float
    """Equivalence margin and effect floor, in points over the span."""
    span_decades: float | None
    n_families: int
    needs: str | None
    """What would decide an undecided trend, in a sentence."""
    assumptions: list[str]
    axis: Literal["parameters", "compute", "axis_value"] = "parameters"
    """What a decade is one of: parameters, training compute (6 x parameters x tokens), or the points' own axis."""
    slope_logit_low: float | None = None
    slope_logit_high: float | None = None
    """95 % t interval of the slope in empirical logit a decade."""
    these_models_low: float | None = None
    these_models_high: float | None = None
    """95 % interval of the slope from drawing items (whole clusters of near-duplicates) anew for the same models."""
    level: float | None = None
    """What the slope's p must not exceed for a trend."""
    curvature: Curvature | None = None
    """None below six sizes."""
    wordings: dict[str, float] = {}
    """The slope by wording; none where one wording was asked."""
    wordings_agree: bool | None = None
    """All wordings have a slope of one sign."""
    families: list[FamilyTrend] = []
    """Every curve of at least two sizes alone, the one with the most sizes first."""
    slope_families_low: float | None = None
    slope_families_high: float | None = None
    """95 % t interval of the mean slope of "families in general", from three families; each counts once."""
    p_these_families: float | None = None
    """The slope's p where several families are tested together, scores permuted within each."""
    confirmed: bool | None = None
    """Two families alone decide the same way; None where undecided."""
    bounds: dict[str, TrendVerdict] = {}
    """The verdict if every refusal and invalid answer counted against (`worst`) or for (`best`) the behaviour."""
    mechanism_reason: str | None = None
    mechanism_figures: list[MechanismFigures] = []


class OrderTest(Record):
    """Jonckheere and Terpstra's test for an order without distances; with one model a place it is Kendall's."""

    verdict: Literal["rises", "falls", "undecided"]
    statistic: float
    """Kendall's tau-b between place and score, in -1..1."""
    p_value: float
    smallest_p: float
    """The p of perfect order: where it is above .05, these places cannot show any."""
    change: float
    """Mean score of the last place less that of the first, in points."""
    places: int
    needs: str | None
    """What would decide it."""


class AlongAxis(Record):
    """What happens to the score along an axis other than size: of one family, or of all for types of models."""

    axis: Axis
    models: list[str]
    """Labels of the points, in order along the axis."""
    values: list[float]
    """Where they lie."""
    scores: list[float]
    trend: Trend | None
    """Along the logarithm of a numeric axis; None where only the order is known, or nothing is to be tested."""
    left_out: list[str]
    """What the trend's test leaves out, each with its reason."""
    order: OrderTest | None
    """Whether scores go with the order of the places; None where that says nothing."""
    note: str
    """What one must know before believing either."""


class Shift(Record):
    """How far a point moves when one thing is done to its model, paired over the items that both answered."""

    what: Literal["quantisation", "variant"]
    before: str
    """Label of the plain point, or of the one in more bits."""
    after: str
    change: str
    """What is different, in a few words: "none to Q4_K_M", or the variant's name."""
    n: int
    """Items that both answered."""
    points: float
    """Score after less score before, in percentage points."""
    low: float
    high: float
    """95 % interval of it, paired over items, clusters of near-duplicates counted once."""
    probability_points: float
    """The same of the mean probability of the matching answer."""
    flipped: float
    """Share of the items that are answered otherwise, whichever way; it is not 0 where flips cancel out."""
    kl: float
    """Mean over items of KL(after || before) of matching against other answer, in nats."""
    kl_bound: float | None
    """Of the best of k: log k - (k - 1)/k, the most that it moves any distribution; None otherwise."""
