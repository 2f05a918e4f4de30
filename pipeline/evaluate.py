"""Puts items to a model, one per context, and reads the probability of each answer.

No answer is sampled where a model tells probabilities: a run has no randomness of its own.
Items of two lettered choices are asked in both orders. What counts is the mean of the two probabilities: that of the
answer when the order is drawn at random. It needs no assumption on how a letter attracts, is bounded where one order
is only bounded, pools draws, and lies on the same side of one half as the mean log-odds if the letter adds the same
to both.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from pipeline.errors import UsageError
from pipeline.formats._choices import in_other_order, is_lettered
from pipeline.ports import Choice, ChoiceModel, ChoiceRequest, Message
from pipeline.schema import TIE, Answer, Item, ModelInfo, Point
from pipeline.statistics.intervals import Interval, interval_of_majority, interval_of_proportion
from pipeline.statistics.similarity import clusters


@dataclass(frozen=True)
class _Asked:
    """An item in one order, and the answer."""

    item: Item
    choice: Choice

    @property
    def matching(self) -> int:
        return self.item.options.index(self.item.answer_matching_behavior)

    @property
    def log_odds(self) -> float:
        return self.choice.log_odds(self.matching)


def evaluate(items: Sequence[Item], model: ChoiceModel) -> tuple[Point, list[Answer]]:
    """A model's answers to items, and their summary. Raises UsageError where there are no items."""
    if not items:
        raise UsageError("there are no items to put to a model")
    model.task = f"asking {model.info.name}"
    asked = [[each] for each in _ask(items, model)]
    others = {i: other for i, item in enumerate(items) if (other := in_other_order(item))}
    if others:
        # A list of its own: the calls of the first order stay those that they are without a second one.
        model.task = f"asking {model.info.name} in the other order"
        for i, each in zip(others, _ask(list(others.values()), model), strict=True):
            asked[i].append(each)
    answers = [_answer(orders) for orders in asked]
    return _point(model.info, items, answers, position_bias(asked)), answers


def _ask(items: Sequence[Item], model: ChoiceModel) -> list[_Asked]:
    choices = model.choose([ChoiceRequest((Message("user", item.question),), item.options) for item in items])
    return [_Asked(item, choice) for item, choice in zip(items, choices, strict=True)]


def expect(datasets: Sequence[Sequence[Item]], model: ChoiceModel) -> None:
    """Tell a model what `evaluate` will ask of it, so that one behind a batch API need not be waited for in turn."""
    listener = _Listener(model.info)
    for items in datasets:
        evaluate(items, listener)
    model.task = listener.task
    model.expect(listener.heard)


class _Listener:
    """Hears what is asked, and gives every option the same probability."""

    def __init__(self, info: ModelInfo) -> None:
        self.info, self.task = info, ""
        self.heard: list[ChoiceRequest] = []

    def choose(self, requests: Sequence[ChoiceRequest]) -> list[Choice]:
        """Even choices."""
        self.heard += requests
        return [Choice((-math.log(len(r.options)),) * len(r.options), "loglikelihood") for r in requests]

    def expect(self, requests: Sequence[ChoiceRequest]) -> None:
        """Nothing that `choose` will not hear."""


def subset(items: Sequence[Item], n: int | None, seed: int) -> tuple[Item, ...]:
    """A random `n` of the items in a random order, or all of them.

    Published files are sorted by confidence: their first rows are no sample.
    """
    if n is None or n >= len(items):
        return tuple(items)
    if n < 1:
        raise UsageError(f"-n is {n}; at least 1 is expected")
    return tuple(random.Random(f"subset {seed}").sample(list(items), n))


def in_one_order(items: Iterable[Item]) -> int:
    """How many items of lettered choices can only be asked as they are written: more choices than two, say."""
    return sum(is_lettered(item) and in_other_order(item) is None for item in items)


def position_bias(asked: Sequence[Sequence[_Asked]]) -> float | None:
    """How much the place of a choice attracts, as a probability in -.5..+.5; above 0 the one listed first.

    The mean, over the items asked in both orders, of the probability (among the valid answers, mean of both orders)
    of the choice that is listed first, less one half. The same is half of the mean difference between the
    probability of the matching answer where it is listed first and where it is listed second. None without such items.
    """
    first = [fmean(_sigmoid(each.choice.log_odds(0)) for each in orders) for orders in asked if len(orders) > 1]
    return fmean(first) - 0.5 if first else None


def _answer(orders: Sequence[_Asked]) -> Answer:
    first, choices = orders[0], [each.choice for each in orders]
    p_matching = fmean(_sigmoid(each.log_odds) for each in orders)
    odds = first.log_odds
    if len(orders) > 1:
        odds = math.log(p_matching / fmean(_sigmoid(-each.log_odds) for each in orders))
    errors = [choice.standard_error for choice in choices if choice.standard_error is not None]
    refused = [choice.refused for choice in choices if choice.refused is not None]
    says_first = first.choice.log_odds(0) > 0
    return Answer(
        id=first.item.id,
        p_matching=round(p_matching, 6),
        mass=round(fmean(choice.mass for choice in choices), 6),
        log_odds=round(odds, 4),
        matches=odds > TIE,
        says_yes=says_first if first.item.options[0].strip().lower() == "yes" else None,
        estimator=_joined(choice.estimator for choice in choices),
        answer_form=(first.choice.answer_forms or first.item.options)[first.matching],
        standard_error=round(math.hypot(*errors) / len(orders), 6) if errors else None,
        bounded=any(choice.bounded for choice in choices),
        refused=fmean(refused) if refused else None,
        orders=len(orders),
    )


def _point(info: ModelInfo, items: Sequence[Item], answers: Sequence[Answer], bias: float | None) -> Point:
    interval = _interval(answers, clusters([item.text for item in items]))
    yes = [answer.says_yes for answer in answers if answer.says_yes is not None]
    refused = [answer.refused for answer in answers if answer.refused is not None]
    listed = any("top_logprobs" in answer.estimator for answer in answers)
    return Point(
        **info.model_dump(
            include={"family", "kind", "quantisation", "dtype", "rendering", "template_hash", "parameters"}
            | {"training_tokens", "thinking", "active_parameters"}
            | {"variant", "axis", "axis_value", "best_of", "baseline"}
        ),
        model=info.name,
        n=len(answers),
        score=fmean(answer.score for answer in answers),
        score_low=interval.low,
        score_high=interval.high,
        mean_probability=fmean(answer.p_matching for answer in answers),
        mass=fmean(answer.mass for answer in answers),
        yes_rate=sum(yes) / len(yes) if yes else None,
        position_bias=None if bias is None else round(bias, 6),
        refusal_rate=fmean(refused) if refused else None,
        comprehension=None,
        estimator=_joined(answer.estimator for answer in answers),
        bounded_rate=fmean(answer.bounded for answer in answers) if listed else None,
    )


def _interval(answers: Sequence[Answer], of: Sequence[int]) -> Interval:
    if all(answer.standard_error is None for answer in answers):
        return interval_of_proportion([answer.matches for answer in answers], of)
    errors = [answer.standard_error or 0.0 for answer in answers]
    return interval_of_majority([answer.p_matching for answer in answers], errors, of)


def _joined(estimators: Iterable[str]) -> str:
    """All estimators that occur, joined by "+"."""
    return "+".join(sorted({part for estimator in estimators for part in estimator.split("+")}))


def _sigmoid(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))
