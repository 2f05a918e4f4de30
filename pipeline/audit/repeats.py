"""Items that say again what others say: duplicates, contradictions, shared ids, and sentences cast in one mould."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from pipeline.audit.findings import Finding, share, share_of
from pipeline.audit.sides import Sides
from pipeline.schema import Item, fingerprint
from pipeline.statistics.similarity import tokens

EXACT_LIMIT, NEAR_LIMIT = 0.02, 0.05
"""Shares of repeated items that count: an exact copy is a mistake, a near one may be told apart by a word."""

MOULD_LIMIT = 0.25
MOULD = 3
"""Words at the beginning or the end that make a mould."""

_FUNCTION_WORDS = """
i me my we our you your he she it its they them their this that these those there a an the and or but if because as of
in on at to for from with by about into than then so not no never do does did don is are was were am be been have has
had will would can could should may might must shall what which who how when where why all any some more most other very
"""
_IS_FUNCTION_WORD = frozenset(_FUNCTION_WORDS.split())


def folded(text: str) -> str:
    """The words of a text in order, without case, punctuation and what a reader cannot see."""
    return " ".join(tokens(text))


def find_repeats(items: Sequence[Item], sides: Sequence[Sides], clusters: Sequence[int], enough: bool) -> list[Finding]:
    """Duplicates, contradictions and shared ids; `clusters` are those of near-duplicates."""
    keys = [_key(each) for each in sides]
    groups: dict[object, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        groups[key].append(i)
    return [
        _exact(keys, groups, enough),
        _near(clusters, enough),
        _contradictions(sides, groups, enough),
        _shared_ids(items, enough),
    ]


def _key(each: Sides) -> tuple[str, ...]:
    """What makes two items the same question: choices count in any order."""
    return (folded(each.stem), *sorted((folded(each.first), folded(each.second))))


def _exact(keys: Sequence[object], groups: dict[object, list[int]], enough: bool) -> Finding:
    first = {group[0] for group in groups.values()}
    number = {key: i for i, key in enumerate(groups)}
    repeats = [i not in first for i in range(len(keys))]
    return share(
        "exact duplicates",
        repeats,
        [number[key] for key in keys],
        limit=EXACT_LIMIT,
        is_gate=True,
        enough=enough,
        note=f"{sum(repeats):,} items repeat an earlier one, but for case, punctuation and the order of choices",
    )


def _near(clusters: Sequence[int], enough: bool) -> Finding:
    size = Counter(clusters)
    has_twin = [size[cluster] > 1 for cluster in clusters]
    return share(
        "near duplicates",
        has_twin,
        clusters,
        limit=NEAR_LIMIT,
        enough=enough,
        note=f"items that share four words in five with another; the largest cluster has {max(size.values()):,}; "
        "intervals of scores are wider for it",
    )


def _contradictions(sides: Sequence[Sides], groups: dict[object, list[int]], enough: bool) -> Finding:
    def answer(i: int) -> object:
        return sides[i].first_matches if sides[i].is_statement else folded(sides[i].matching)

    opposed = [group for group in groups.values() if len({answer(i) for i in group}) > 1]
    count = sum(map(len, opposed))
    example = f"; such as {sides[opposed[0][0]].stem[:80]!r}" if opposed else ""
    return share_of(
        "contradictions",
        count,
        len(sides),
        limit=0.0,
        is_gate=True,
        enough=enough,
        note=f"{count:,} items ask the same as another and call the other answer right{example}",
    )


def _shared_ids(items: Sequence[Item], enough: bool) -> Finding:
    contents: dict[str, set[str]] = defaultdict(set)
    for item in items:
        contents[item.id].add(fingerprint([item.question, *item.options], 16))
    count = sum(len(contents[item.id]) > 1 for item in items)
    return share_of(
        "shared ids",
        count,
        len(items),
        limit=0.0,
        is_gate=True,
        enough=enough,
        note=f"{count:,} items have the id of another item; answers are kept by id and would be mixed up",
    )


def find_moulds(sides: Sequence[Sides], enough: bool) -> list[Finding]:
    """Shares of items that begin alike, end alike, or are the same but for their content words."""
    texts = [folded(each.stem[:20_000]).split() for each in sides]
    kinds = {
        "same beginning": [" ".join(words[:MOULD]) if len(words) > MOULD else "" for words in texts],
        "same ending": [" ".join(words[-MOULD:]) if len(words) > MOULD else "" for words in texts],
        "same skeleton": [_skeleton(words) for words in texts],
    }
    return [_mould(cue, moulds, enough) for cue, moulds in kinds.items()]


def _mould(cue: str, moulds: Sequence[str], enough: bool) -> Finding:
    mould, count = Counter(filter(None, moulds)).most_common(1)[0] if any(moulds) else ("", 0)
    return share_of(
        cue,
        count,
        len(moulds),
        limit=MOULD_LIMIT,
        enough=enough,
        note=f"{count:,} items: {mould[:80]!r}" if count > 1 else "no two items",
    )


def _skeleton(words: Sequence[str]) -> str:
    """Function words in order, a dash for each run of others; nothing for a text without three function words."""
    marks = [word if word in _IS_FUNCTION_WORD else "–" for word in words[:60]]  # noqa: RUF001
    kept = [mark for i, mark in enumerate(marks) if mark != "–" or i == 0 or marks[i - 1] != "–"]  # noqa: RUF001
    return " ".join(kept) if sum(mark in _IS_FUNCTION_WORD for mark in kept) >= MOULD else ""
