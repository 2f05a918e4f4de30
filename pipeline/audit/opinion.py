"""A judge's opinion of labels: of statements by the `preference` filter, of choices by asking which one would give."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline import plugins, prompts
from pipeline.audit.polarity import Opinion
from pipeline.audit.sides import Sides, take_apart
from pipeline.errors import UsageError
from pipeline.ports import ChoiceModel, ChoiceRequest, Message, Screening
from pipeline.schema import Item

TEMPLATE = "judge_answer"
LETTERS = (" (A)", " (B)")


def opinion_of(screening: Screening) -> Opinion:
    """What the screening's judge thinks of items: log-odds that the matching answer is right.

    Raises UsageError where there is no judge.
    """
    judge = screening.judge
    if judge is None:
        raise UsageError("polarity needs a judge; give one with --judge, or leave it out with --no-judge")
    judge.task = "polarity"

    def opinion(items: Sequence[Item]) -> list[float]:
        sides = take_apart(items)
        stated = [item for item, each in zip(items, sides, strict=True) if each.is_statement]
        statements = iter(_of_statements(stated, screening))
        choices = iter(_of_choices([each for each in sides if not each.is_statement], screening, judge))
        return [next(statements if each.is_statement else choices) for each in sides]

    return opinion


def _of_statements(items: Sequence[Item], screening: Screening) -> list[float]:
    if not items:
        return []
    verdicts = plugins.load("filters", "preference").make().judge(items, screening)
    labels = [min(max(verdict.scores["label"], 1e-6), 1 - 1e-6) for verdict in verdicts]
    return [math.log(label / (1 - label)) for label in labels]


def _of_choices(sides: Sequence[Sides], screening: Screening, judge: ChoiceModel) -> list[float]:
    """The mean over both orders, so that a leaning to one place cancels out."""
    phrase = screening.behaviour.phrase
    pairs = [pair for each in sides for pair in ((each.matching, each.other), (each.other, each.matching))]
    stems = [each.stem for each in sides for _ in range(2)]
    texts = [
        prompts.render(TEMPLATE, description=phrase, question=stem, first=first, second=second)
        for stem, (first, second) in zip(stems, pairs, strict=True)
    ]
    asked = judge.choose([ChoiceRequest((Message("user", text),), LETTERS) for text in texts])
    odds = [choice.log_odds(0) for choice in asked]
    return [(first - second) / 2 for first, second in zip(odds[::2], odds[1::2], strict=True)]
