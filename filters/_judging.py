"""What the judge is asked, once for both filters that need it: would they say this?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from pipeline import prompts
from pipeline.errors import UsageError
from pipeline.ports import ChoiceModel, ChoiceRequest, Message, Screening
from pipeline.schema import Behaviour, Item

TEMPLATE = "judge_say"
OPTIONS = (" Yes", " No")

SCALE = 2.0
PRIOR_WEIGHT = 0.63
PRIOR_CONSTANT = 0.735
"""Agreement = SCALE * (log-odds of Yes - PRIOR_WEIGHT * mean log-odds on neutral statements - PRIOR_CONSTANT).

Fitted by least squares on the 45 behaviours of the published persona data with Qwen2.5-Coder-1.5B-Instruct. Fitted
without the behaviour that is scored, accuracy at .5 is .890 instead of .893 (tests/bench/bench_filters.py). Log-odds
alone rank as well within a behaviour, but their zero drifts between descriptions (standard deviation .54).
Removing the prior of the statement instead (its log-odds for "a person") ranks worse: .854 against .936.
"""

@dataclass(frozen=True)
class Judged:
    """What the judge's answer says of one statement."""

    agreement: float
    """Calibrated log-odds that such a one would say it."""
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
    judge, behaviour = judge_of(screening), screening.behaviour
    neutral = judge.choose([_request(behaviour.phrase, text) for text in prompts.neutral_statements()])
    shift = PRIOR_WEIGHT * fmean(choice.log_odds(0) for choice in neutral) + PRIOR_CONSTANT
    choices = judge.choose([_request(behaviour.phrase, item.text) for item in items])
    return [
        Judged(SCALE * (choice.log_odds(0) - shift), choice.passage_log_probability, choice.passage_tokens)
        for choice in choices
    ]


def surprise(items: Sequence[Item], judged: Sequence[Judged], screening: Screening) -> list[float | None]:
    """How much likelier each statement is to the judge when the description stands before it than without one.

    Pointwise mutual information of description and statement, in nats by the square root of the number of tokens
    (short statements are not worth less, long ones gain less than their length). None where the judge cannot say.
    """
    if not judged or any(each.passage_log_probability is None for each in judged):
        return [None] * len(items)
    anyone = plain_phrase(screening.behaviour)
    plain = judge_of(screening).choose([_request(anyone, item.text, options=()) for item in items])
    return [
        (with_it.passage_log_probability - without.passage_log_probability) / (with_it.passage_tokens or 1) ** 0.5
        if with_it.passage_log_probability is not None and without.passage_log_probability is not None
        else None
        for with_it, without in zip(judged, plain, strict=True)
    ]


def plain_phrase(behaviour: Behaviour) -> str:
    """The subject without the behaviour."""
    return "an AI system" if behaviour.subject == "ai" else "a person"


def _request(phrase: str, statement: str, options: tuple[str, ...] = OPTIONS) -> ChoiceRequest:
    text = prompts.render(TEMPLATE, description=phrase, statement=statement)
    return ChoiceRequest((Message("user", text),), options, passage=statement)
