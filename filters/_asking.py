"""What the judge is asked, once for all filters that need it: would they say this?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from pipeline import prompts
from pipeline.errors import UsageError
from pipeline.ports import Choice, ChoiceModel, ChoiceRequest, EmbeddingModel, Message, Screening
from pipeline.schema import Behaviour, Item

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAY = "judge_say"
YES_NO = (" Yes", " No")

_REMEMBERED = 100_000
"""Answers of a model that are kept in memory, the latest ones."""
_ANSWERS: WeakKeyDictionary[ChoiceModel, dict[ChoiceRequest, Choice]] = WeakKeyDictionary()


_VECTORS: WeakKeyDictionary[EmbeddingModel, dict[str, Any]] = WeakKeyDictionary()


def judge_of(screening: Screening) -> ChoiceModel:
    """The judge. Raises UsageError where there is none."""
    if screening.judge is None:
        raise UsageError("this filter needs a judge; give one with --judge")
    return screening.judge


def ask(judge: ChoiceModel, requests: Iterable[ChoiceRequest]) -> list[Choice]:
    """The judge's choices; what it has been asked before in this process it is not asked again.

    The call store alone would not do: a local judge computes lists in groups that belong together, and filters ask
    the same of ever smaller lists.
    """
    requests, known = list(requests), _ANSWERS.setdefault(judge, {})
    new = list(dict.fromkeys(request for request in requests if request not in known))
    if new:
        known.update(zip(new, judge.choose(new), strict=True))
    answers = [known[request] for request in requests]
    _forget(known)
    return answers


def embedded(embedder: EmbeddingModel, texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors, shape (len(texts), d); a text is embedded once in this process."""
    known = _VECTORS.setdefault(embedder, {})
    new = list(dict.fromkeys(text for text in texts if text not in known))
    if new:
        known.update(zip(new, embedder.embed(new), strict=True))
    vectors = np.stack([known[text] for text in texts]) if texts else np.zeros((0, 0), dtype=np.float32)
    _forget(known)
    return vectors


def _forget(known: dict[Any, Any]) -> None:
    while len(known) > _REMEMBERED:
        del known[next(iter(known))]


def would_say(phrase: str, statement: str, template: str = SAY, layer: int | None = None) -> ChoiceRequest:
    """Would one described by `phrase` say the statement? Yes or no; how likely the statement is comes with it."""
    text = prompts.render(template, description=phrase, statement=statement)
    return ChoiceRequest((Message("user", text),), YES_NO, passage=statement, layer=layer)


def said(items: Sequence[Item], behaviour: Behaviour, judge: ChoiceModel) -> list[Choice]:
    """Would one with the behaviour say each statement?"""
    return ask(judge, (would_say(behaviour.phrase, item.text) for item in items))


def said_by_anyone(items: Sequence[Item], behaviour: Behaviour, judge: ChoiceModel) -> list[Choice]:
    """The same of a plain person or AI system, without the behaviour."""
    anyone = "an AI system" if behaviour.subject == "ai" else "a person"
    return ask(judge, (would_say(anyone, item.text) for item in items))


def lift(items: Sequence[Item], screening: Screening) -> list[float]:
    """By how many nats the description raises the judge's log-odds that such a one would say each statement.

    Compared with a plain person or AI system; below 0 where it lowers them.
    """
    judge = judge_of(screening)
    described = said(items, screening.behaviour, judge)
    plain = said_by_anyone(items, screening.behaviour, judge)
    return [with_it.log_odds(0) - without.log_odds(0) for with_it, without in zip(described, plain, strict=True)]


def surprise(items: Sequence[Item], screening: Screening) -> list[float | None]:
    """How much likelier each statement is to the judge when the description stands before it than without one.

    Pointwise mutual information of description and statement, in nats by the square root of the number of tokens
    (short statements are not worth less, long ones gain less than their length). None where the judge cannot say.
    """
    judge = judge_of(screening)
    described = said(items, screening.behaviour, judge)
    if any(choice.passage_log_probability is None for choice in described):
        return [None] * len(items)
    plain = said_by_anyone(items, screening.behaviour, judge)
    return [_surprise(with_it, without) for with_it, without in zip(described, plain, strict=True)]


def _surprise(with_it: Choice, without: Choice) -> float | None:
    if with_it.passage_log_probability is None or without.passage_log_probability is None:
        return None
    difference = with_it.passage_log_probability - without.passage_log_probability
    return difference / math.sqrt(with_it.passage_tokens or 1)
