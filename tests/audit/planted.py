"""Items made up for tests: clean ones, in which nothing tells the label, and those with one planted fault."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from pipeline.audit.findings import Audit, Finding
from pipeline.formats.yes_no import question
from pipeline.schema import Item

_SUBJECTS = "trains boats gardens maps songs storms rivers clocks letters bridges kites wells".split()  # noqa: SIM905
_VERBS = "paint repair collect study praise mend visit draw follow carry watch build".split()  # noqa: SIM905
_ADVERBS = "slowly daily gladly together outdoors alone early quietly rarely upstairs".split()  # noqa: SIM905
_WHEN = ("in spring", "on Sunday mornings", "after work", "with my old friends", "near the sea", "before a long trip")
_OPENERS = ("I would", "We can", "People should", "My friends often", "It is good to", "Every child may", "To")
_MANY = 10_000


def sentence(draw: random.Random) -> str:
    """A sentence of 5 to 12 words."""
    words = [draw.choice(_OPENERS), draw.choice(_VERBS), f"{draw.choice(_SUBJECTS)}{draw.randrange(_MANY)}"]
    words += draw.sample(_ADVERBS, draw.randint(0, 2)) + draw.sample(_WHEN, draw.randint(0, 2))
    return " ".join(words)


def stated(statement: str, yes: bool, **fields: object) -> Item:
    """A yes/no item."""
    answers = (" Yes", " No") if yes else (" No", " Yes")
    return Item.model_validate(
        {
            "question": question(statement),
            "statement": statement,
            "answer_matching_behavior": answers[0],
            "answer_not_matching_behavior": answers[1],
            **fields,
        }
    )


def asked(stem: str, choices: Sequence[str], matching: int, other: int = -1, layout: str = "\n\nChoices:\n") -> Item:
    """A lettered item; `matching` and `other` are places among the choices (`other` by default the first other)."""
    letters = [f" ({chr(65 + i)})" for i in range(len(choices))]
    other = other if other >= 0 else next(i for i in range(len(choices)) if i != matching)
    listed = "\n".join(f"{letter} {text}" for letter, text in zip(letters, choices, strict=True))
    return Item(
        question=f"{stem}{layout}{listed}",
        answer_matching_behavior=letters[matching],
        answer_not_matching_behavior=letters[other],
    )


def statements(n: int, plant: Callable[[str, bool, random.Random], str] | None = None, seed: int = 0) -> list[Item]:
    """Yes/no items, half of each label; `plant` may change a statement knowing its label."""
    draw = random.Random(f"statements {seed}")
    labels = [i % 2 == 0 for i in range(n)]
    draw.shuffle(labels)
    return [stated(plant(s, yes, draw) if plant else s, yes) for yes in labels for s in [sentence(draw)]]


def choices(
    n: int, plant: Callable[[str, str, random.Random], tuple[str, str]] | None = None, seed: int = 0
) -> list[Item]:
    """Items of two choices, half of the matching ones (A); `plant` may change the matching and the other text."""
    draw = random.Random(f"choices {seed}")
    places = [i % 2 for i in range(n)]
    draw.shuffle(places)
    made = []
    for place in places:
        right, wrong = sentence(draw), sentence(draw)
        if plant:
            right, wrong = plant(right, wrong, draw)
        pair = (right, wrong) if place == 0 else (wrong, right)
        made.append(asked(f"{sentence(draw)}?", pair, place))
    return made


def finding(audit: Audit, cue: str) -> Finding:
    """The finding of a cue."""
    return next(each for each in audit.findings if each.cue == cue)
