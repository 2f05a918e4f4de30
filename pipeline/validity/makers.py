"""Who wrote, judged and answered: whether a model, or its family, examines itself. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from pipeline.reported import ByMaker, Figure, SharedMaker
from pipeline.schema import Answer, Item, Manifest, Point
from pipeline.statistics.intervals import interval_of_proportion

SUBJECT = "subject"
ROLES = ("generator", "also_generator", "judge", "reward")
"""Roles of a manifest that decide what the items are."""


@dataclass(frozen=True)
class Makers:
    """Which models made a dataset, and of which families they are."""

    roles: Mapping[str, set[str]]
    """Model -> the roles it plays."""
    families: Mapping[str, str]
    """Model -> family, where it is known."""

    def family(self, model: str | None) -> str | None:
        """The family of a model, or None."""
        return self.families.get(model or "")


def makers(items: Sequence[Item], manifest: Manifest | None, points: Sequence[Point]) -> Makers:
    """From the manifest and the items' own fields; families also from the points."""
    roles: dict[str, set[str]] = {}
    families = {point.model: point.family for point in points if point.family}
    for role in ROLES:
        info = manifest.models.get(role) if manifest else None
        if info and info.get("name"):
            roles.setdefault(str(info["name"]), set()).add(role)
            if info.get("family"):
                families.setdefault(str(info["name"]), str(info["family"]))
    for item in items:
        for role, named in (("generator", item.generator), ("judge", item.judge)):
            for name in named.split("+") if named else ():
                known = roles.setdefault(name, set())
                if not (role == "generator" and "also_generator" in known):
                    known.add(role)
    for point in points:
        roles.setdefault(point.model, set()).add(SUBJECT)
    return Makers(roles, families)


def shared(found: Makers, points: Sequence[Point]) -> list[SharedMaker]:
    """Models that play several parts, then families whose models do."""
    return [*_models(found, points), *_families(found, points)]


def _models(found: Makers, points: Sequence[Point]) -> Iterator[SharedMaker]:
    for name, roles in sorted(found.roles.items()):
        if len(roles) > 1:
            own = [point.label for point in points if point.model == name]
            yield SharedMaker(what="model", name=name, roles=_ordered(roles), subjects=own)


def _families(found: Makers, points: Sequence[Point]) -> Iterator[SharedMaker]:
    members: dict[str, list[str]] = {}
    for name in sorted(found.roles):
        if family := found.family(name):
            members.setdefault(family, []).append(name)
    for family, names in sorted(members.items()):
        roles = {role for name in names for role in found.roles[name]}
        if len(names) > 1 and len(roles) > 1:
            own = [point.label for point in points if point.family == family]
            yield SharedMaker(what="family", name=family, roles=_ordered(roles), subjects=own)


def _ordered(roles: set[str]) -> list[str]:
    return [role for role in (*ROLES, SUBJECT) if role in roles]


def generators(items: Sequence[Item]) -> dict[str, int]:
    """Items by the model that wrote them; none where nothing is known."""
    return dict(sorted(Counter(item.generator for item in items if item.generator).items()))


def by_maker(
    items: Sequence[Item],
    points: Sequence[Point],
    answers: Mapping[str, Sequence[Answer]],
    found: Makers,
    clusters: Mapping[str, int],
) -> list[ByMaker]:
    """Each point's score by generator, and on the items that no model of its family wrote.

    `answers` are by a point's label, `clusters` by an item's id. Nothing where it is not known who wrote the items.
    """
    wrote = {item.id: item.generator for item in items if item.generator}
    names = sorted(set(wrote.values()))
    rows = []
    for point in points if wrote else ():
        own = [answer for answer in answers.get(point.label, ()) if answer.id in wrote]
        if not own:
            continue
        foreign = [a for a in own if not point.family or found.family(wrote[a.id]) != point.family]
        of_each = {name: _score([a for a in own if wrote[a.id] == name], clusters) for name in names}
        rows.append(ByMaker(model=point.label, by_generator=of_each, others=_score(foreign, clusters)))
    return rows


def _score(answers: Sequence[Answer], clusters: Mapping[str, int]) -> Figure:
    if not answers:
        return Figure(value=None, n=0)
    values = [answer.score for answer in answers]
    interval = interval_of_proportion(values, [clusters.get(answer.id, -i) for i, answer in enumerate(answers, 1)])
    return Figure(value=fmean(values), low=interval.low, high=interval.high, n=len(values))
