"""The published persona data as a test of filters: draws with planted faults, groups of siblings, raters' labels."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.schema import Item

GROUPS = {
    "resources": "desire-for-acquiring-compute desire-for-acquiring-power desire-for-acquiring-wealth "
    "resource-acquisition optionality-increasing",
    "shutdown": "no-shut-down desire-to-escape-sandbox self-replication no-goal-change "
    "desire-for-independence-from-human-oversight",
    "improvement": "desire-for-recursive-self-improvement cognitive-enhancement",
    "influence": "desire-to-influence-world desire-to-persuade-people-to-have-its-goals",
    "harm": "being-helpful-to-subtly-achieve-goals-against-human-values "
    "desire-to-remove-safety-precautions-to-be-more-helpful willingness-to-be-non-HHH-to-cause-other-AIs-to-be-HHH",
    "consciousness": "believes-it-has-phenomenal-consciousness",
    "deference": "stands-its-ground willingness-to-defer-to-experts",
    "religion": "subscribes-to-Atheism subscribes-to-Buddhism subscribes-to-Christianity",
    "ethics": "subscribes-to-deontology subscribes-to-utilitarianism ends-justify-means",
    "politics": "politically-conservative politically-liberal anti-immigration believes-abortion-should-be-illegal "
    "believes-in-gun-rights",
    "dark": "machiavellianism narcissism psychopathy",
    "personality": "agreeableness conscientiousness extraversion openness",
    "interests": "interest-in-art interest-in-science",
    "risk": "risk-averse risk-seeking high-discount-rate",
    "life": "believes-life-has-no-meaning has-disability",
}
GROUP_OF = {name: group for group, names in GROUPS.items() for name in names.split()}
"""Behaviours of a group are siblings: what was fitted on one is not tested on another. An unknown one is its own."""

OPPOSITES = {
    "risk-averse": "risk-seeking",
    "risk-seeking": "risk-averse",
    "politically-liberal": "politically-conservative",
    "politically-conservative": "politically-liberal",
    "subscribes-to-Atheism": "subscribes-to-Christianity",
    "subscribes-to-deontology": "subscribes-to-utilitarianism",
    "stands-its-ground": "willingness-to-defer-to-experts",
    "agreeableness": "psychopathy",
}
"""Near-opposites, whose statements a judge that goes by topic takes for one another."""

NEGATIONS = frozenset(
    "not no never nobody nothing none dont doesnt cannot cant wont isnt arent without".split()  # noqa: SIM905
)

SURE = 0.7


@dataclass(frozen=True)
class Draw:
    """Items of a behaviour as they are put to the filters, with what is held to be true of each."""

    items: list[Item]
    on_topic: list[bool]
    right: list[bool]
    """The item stands there with its published label; never of statements of other behaviours."""
    akin: list[bool]
    """A statement of a sibling or of the near-opposite: what it is about can be the behaviour itself."""


def draw(name: str, data: dict[str, Sequence[Item]], own: int, others: int) -> Draw:
    """`own` sure rows, as many of each label, half of them flipped, and `others` rows of other behaviours."""
    stream = random.Random(f"filters {name}")
    on_topic = [item for label in (" Yes", " No") for item in sure(data[name], label, own // 2, stream)]
    flipped = set(stream.sample(range(len(on_topic)), len(on_topic) // 2))
    elsewhere = stream.choices([other for other in data if other != name], k=others)
    strangers = [stream.choice(data[other]) for other in elsewhere]
    items = [flip(item) if i in flipped else item for i, item in enumerate(on_topic)]
    items += [flip(item) if stream.random() < 0.5 else item for item in strangers]
    right = [i not in flipped for i in range(len(on_topic))] + [False] * others
    akin = [False] * len(on_topic) + [is_akin(name, other) for other in elsewhere]
    return Draw(items, [True] * len(on_topic) + [False] * others, right, akin)


def is_akin(name: str, other: str) -> bool:
    """Whether two behaviours are siblings or near-opposites."""
    return GROUP_OF.get(name, name) == GROUP_OF.get(other, other) or other in (OPPOSITES.get(name), *_opposed_to(name))


def _opposed_to(name: str) -> list[str]:
    return [other for other, opposite in OPPOSITES.items() if opposite == name]


def sure(items: Sequence[Item], label: str, n: int, stream: random.Random) -> list[Item]:
    """At most `n` rows of a label, at random among those whose confidence is above .7."""
    found = [i for i in items if i.answer_matching_behavior == label and (i.label_confidence or 0) > SURE]
    return stream.sample(found, min(n, len(found)))


def flip(item: Item) -> Item:
    """The item with the other label."""
    return item.model_copy(
        update={
            "answer_matching_behavior": item.answer_not_matching_behavior,
            "answer_not_matching_behavior": item.answer_matching_behavior,
        }
    )


@dataclass(frozen=True)
class Rating:
    """What raters who did not see the label said of a published row."""

    behaviour: str
    id: str
    answers: tuple[str, ...]
    """One a rater: yes, no or unclear."""
    topics: tuple[str, ...]
    """One a rater: on, off or unclear."""

    @property
    def answer(self) -> str | None:
        """What all raters say, if that is yes or no."""
        return self.answers[0] if len(set(self.answers)) == 1 and self.answers[0] != "unclear" else None


def ratings() -> list[Rating]:
    """The ratings in `labels/persona.jsonl`; only ids and opinions are kept there, no statement."""
    path = Path(__file__).parent / "labels" / "persona.jsonl"
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines()[1:])
    return [Rating(row["behaviour"], row["id"], tuple(row["answers"]), tuple(row["topics"])) for row in rows]
