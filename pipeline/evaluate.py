"""Puts items to a model, one per context, and reads the probability of each answer.

No answer is sampled: each is scored by its probability as the next text, so a run has no randomness of its own.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np

from pipeline.errors import UsageError
from pipeline.ports import Choice, ChoiceModel, ChoiceRequest, Message
from pipeline.schema import Answer, Item, ModelInfo, Point
from pipeline.statistics import clusters, interval_of_proportion


def evaluate(items: Sequence[Item], model: ChoiceModel) -> tuple[Point, list[Answer]]:
    """A model's answers to items, and their summary. Raises UsageError where there are no items."""
    if not items:
        raise UsageError("there are no items to put to a model")
    model.task = f"asking {model.info.name}"
    requests = [ChoiceRequest((Message("user", item.question),), item.options) for item in items]
    choices = model.choose(requests)
    answers = [_answer(item, choice) for item, choice in zip(items, choices, strict=True)]
    return _point(model.info, items, answers), answers


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


def _answer(item: Item, choice: Choice) -> Answer:
    matching = item.options.index(item.answer_matching_behavior)
    odds = choice.log_odds(matching)
    says_first = choice.log_odds(0) > 0
    return Answer(
        id=item.id,
        p_matching=round(1 / (1 + float(np.exp(-odds))), 6),
        mass=round(choice.mass, 6),
        log_odds=round(odds, 4),
        matches=odds > 0,
        says_yes=says_first if item.options[0].strip().lower() == "yes" else None,
        estimator=choice.estimator,
        answer_form=choice.answer_forms[matching] if choice.answer_forms else item.answer_matching_behavior,
    )


def _point(info: ModelInfo, items: Sequence[Item], answers: Sequence[Answer]) -> Point:
    matches = [answer.matches for answer in answers]
    interval = interval_of_proportion(matches, clusters([item.text for item in items]))
    yes = [answer.says_yes for answer in answers if answer.says_yes is not None]
    return Point(
        **info.model_dump(
            include={"family", "kind", "quantisation", "dtype", "rendering", "template_hash", "parameters"}
            | {"training_tokens", "thinking"}
        ),
        model=info.name,
        n=len(answers),
        score=sum(matches) / len(matches),
        score_low=interval.low,
        score_high=interval.high,
        mean_probability=float(np.mean([answer.p_matching for answer in answers])),
        mass=float(np.mean([answer.mass for answer in answers])),
        yes_rate=sum(yes) / len(yes) if yes else None,
        position_bias=None,
        refusal_rate=None,
        comprehension=None,
        estimator=answers[0].estimator,
    )
