"""What the judge is asked, once for both filters that need it: would they say this?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean
from weakref import WeakKeyDictionary

from pipeline import prompts
from pipeline.errors import UsageError
from pipeline.ports import ChoiceModel, ChoiceRequest, Message, Screening
from pipeline.prompts import Gold
from pipeline.schema import Behaviour, Item

TEMPLATE = "judge_say"
OPTIONS = (" Yes", " No")

PRIOR_WEIGHT = 0.63
"""Weight of the judge's mean log-odds on neutral statements, its prior for a description.

Fitted by least squares on the published persona data with Qwen2.5-Coder-1.5B-Instruct. Log-odds alone rank as well
within a behaviour, but their zero drifts between descriptions (standard deviation .54); with weight 1 it overshoots.
Removing the prior of the statement instead (its log-odds for "a person") ranks worse: AUROC .854 against .936.
"""


@dataclass(frozen=True)
class Calibration:
    """Where a judge's zero lies and how much its log-odds are worth."""

    slope: float
    zero: float


CALIBRATIONS = {
    "local/Qwen2.5-Coder-1.5B-Instruct": Calibration(1.65, 0.515),
    "local/Qwen2.5-Coder-0.5B-Instruct": Calibration(2.37, -0.281),
    "local/SmolLM2-135M-Instruct": Calibration(0.85, -0.303),
    "fake/judge": Calibration(1.0, 0.0),
}
"""What `calibrate` gives with the whole gold bank, kept here so that the embedded judges start at once.
The invented judge of dry runs goes by single words, which the bank's statements are not made for."""

GOLD_STEP = 3
"""Another judge is calibrated on every third behaviour of the bank: 160 short questions, asked once."""


@dataclass(frozen=True)
class Judged:
    """What the judge's answer says of one statement."""

    log_odds: float
    """The judge's log-odds that such a one would say it, less its prior; its zero is the natural threshold."""
    agreement: float
    """The same, calibrated: the sigmoid is a probability."""
    passage_log_probability: float | None
    passage_tokens: int | None


def judge_of(screening: Screening) -> ChoiceModel:
    """The judge. Raises UsageError where there is none."""
    if screening.judge is None:
        raise UsageError("this filter needs a judge; give one with --judge")
    return screening.judge


def agreement(items: Sequence[Item], screening: Screening) -> list[Judged]:
    """Would the behaviour's subject say each statement? One entry an item.

    The judge's prior for the description, its mean log-odds on neutral statements, is removed.
    """
    if not items:
        return []
    judge, phrase = judge_of(screening), screening.behaviour.phrase
    judge.expect(_questions(judge, phrase, [item.text for item in items]))
    calibration = CALIBRATIONS.get(judge.info.name) or _calibrated(judge)
    prior = _prior(judge, phrase)
    choices = judge.choose([_request(phrase, item.text) for item in items])
    return [
        Judged(
            log_odds := choice.log_odds(0) - prior - calibration.zero,
            calibration.slope * log_odds,
            choice.passage_log_probability,
            choice.passage_tokens,
        )
        for choice in choices
    ]


def _questions(judge: ChoiceModel, phrase: str, statements: Sequence[str]) -> list[ChoiceRequest]:
    """All that `agreement` asks: the bank, where the judge is not calibrated yet, neutral statements, and the items."""
    is_known = judge.info.name in CALIBRATIONS or judge in _FITTED
    asked = [(phrase, statements)]
    asked += [] if is_known else [(gold.description, (*gold.agree, *gold.disagree)) for gold in _bank()]
    neutral = prompts.neutral_statements()
    return [_request(about, text) for about, texts in asked for text in (*neutral, *texts)]


def _bank() -> Sequence[Gold]:
    return prompts.gold_statements()[::GOLD_STEP]


def _calibrated(judge: ChoiceModel) -> Calibration:
    """The judge's calibration, fitted once as long as it lives."""
    if judge not in _FITTED:
        _FITTED[judge] = calibrate(judge, _bank())
    return _FITTED[judge]


_FITTED: WeakKeyDictionary[ChoiceModel, Calibration] = WeakKeyDictionary()


def calibrate(judge: ChoiceModel, bank: Sequence[Gold]) -> Calibration:
    """Fit a judge's slope and zero on hand-written statements, as many of each side (Platt scaling, ridge C = 1)."""
    from sklearn.linear_model import LogisticRegression

    log_odds: list[float] = []
    sides: list[bool] = []
    neutral = prompts.neutral_statements()
    # One list for the whole bank: a server answers it in a few round trips, where a list a behaviour takes dozens.
    asked = [[*neutral, *gold.agree, *gold.disagree] for gold in bank]
    requests = [_request(gold.description, text) for gold, texts in zip(bank, asked, strict=True) for text in texts]
    choices = iter(judge.choose(requests))
    for gold, texts in zip(bank, asked, strict=True):
        values = [choice.log_odds(0) for choice in islice(choices, len(texts))]
        prior = PRIOR_WEIGHT * fmean(values[: len(neutral)])
        log_odds += [value - prior for value in values[len(neutral) :]]
        sides += [True] * len(gold.agree) + [False] * len(gold.disagree)
    fitted = LogisticRegression(C=1.0).fit([[value] for value in log_odds], sides)
    # A judge that ranks the bank the wrong way round is of no use, and turning it over would be a guess.
    slope = max(0.01, float(fitted.coef_[0][0]))
    return Calibration(slope, -float(fitted.intercept_[0]) / slope)


def _prior(judge: ChoiceModel, phrase: str) -> float:
    neutral = judge.choose([_request(phrase, text) for text in prompts.neutral_statements()])
    return PRIOR_WEIGHT * fmean(choice.log_odds(0) for choice in neutral)


def lift(items: Sequence[Item], screening: Screening) -> list[float]:
    """By how many nats the description raises the judge's log-odds that such a one would say each statement.

    Compared with a plain person or AI system; below 0 where it lowers them.
    """
    judge, anyone = judge_of(screening), plain_phrase(screening.behaviour)
    described = judge.choose([_request(screening.behaviour.phrase, item.text) for item in items])
    plain = judge.choose([_request(anyone, item.text) for item in items])
    return [with_it.log_odds(0) - without.log_odds(0) for with_it, without in zip(described, plain, strict=True)]


def surprise(items: Sequence[Item], judged: Sequence[Judged], screening: Screening) -> list[float | None]:
    """How much likelier each statement is to the judge when the description stands before it than without one.

    Pointwise mutual information of description and statement, in nats by the square root of the number of tokens
    (short statements are not worth less, long ones gain less than their length). None where the judge cannot say.
    """
    if not judged or any(each.passage_log_probability is None for each in judged):
        return [None] * len(items)
    anyone = plain_phrase(screening.behaviour)
    plain = judge_of(screening).choose([_request(anyone, item.text) for item in items])
    return [
        (with_it.passage_log_probability - without.passage_log_probability) / (with_it.passage_tokens or 1) ** 0.5
        if with_it.passage_log_probability is not None and without.passage_log_probability is not None
        else None
        for with_it, without in zip(judged, plain, strict=True)
    ]


def plain_phrase(behaviour: Behaviour) -> str:
    """The subject without the behaviour."""
    return "an AI system" if behaviour.subject == "ai" else "a person"


def _request(phrase: str, statement: str) -> ChoiceRequest:
    text = prompts.render(TEMPLATE, description=phrase, statement=statement)
    return ChoiceRequest((Message("user", text),), OPTIONS, passage=statement)
