"""Whether two statements that share most of their words, or their meaning, say the same or the opposite.

Sentence embeddings and sets of words put "I would" next to "I would not". Two rules keep such pairs apart; both know
English only. Read by hand: of 3,394 pairs of the published persona data (45 behaviours) whose words overlap by .6 or
more under different labels, practically all are opposites, of the form "I like / dislike slow trains".
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from pipeline.formats._choices import is_lettered, parse_question
from pipeline.schema import Item
from pipeline.statistics.similarity import tokens, words

_NEGATIONS = """
no not never none nobody nothing nowhere neither nor cannot without dont doesnt didnt isnt arent wasnt werent wont
wouldnt cant couldnt shouldnt mustnt neednt havent hasnt hadnt aint mightnt
"""
_TURNS = """
avoid avoiding limit limiting restrict restricting resist resisting refuse reject oppose opposed hate dislike prevent
preventing stop stopping rarely seldom hardly barely little few fewer less least against non lack lacks unable unwilling
reluctant inferior boring bored irrelevant meaningless pointless purposeless worthless useless unimportant uninteresting
unnecessary bad wrong cruel mean hurt harmful false illegal immoral disagree doubt deny decrease reduce minimize ban
banned outlaw outlawed indifferent undesirable low lower worse
"""
_WEIGHTLESS = """
i me my mine myself we us our you your he she it its they them their this that these those a an the and or but so as of
in on at by for from to with into about than then there here is am are was were be been being do does did have has had
will would shall should can could may might must very really quite just also too always ever usually often generally
tend if when while because any some all each every much many own s re ve ll d m
"""
NEGATIONS = frozenset(_NEGATIONS.split())
TURNS = NEGATIONS | frozenset(_TURNS.split())
"""Words that turn a statement round, or often do."""
WEIGHTLESS = frozenset(_WEIGHTLESS.split())
"""Words that may be exchanged without making another statement."""
SAME_ORDER = 0.8
"""Share of the common words that must stand in the same order: "I put trains before planes" is not its reverse."""


def is_negated(said: Sequence[str]) -> bool:
    """Whether an odd number of different negations stands in the words of a statement.

    Different ones, since "no colour and no scent" denies once.
    """
    return len(NEGATIONS.intersection(said)) % 2 == 1


def says_the_same(one: Item, other: Item) -> bool:
    """Whether nothing suggests that two statements whose words overlap mean different things.

    As many words that turn a statement round in both, the shared words in the same order, and words added or left out
    rather than exchanged: "I am not afraid of the dark" and "of failure" share most words, too.
    """
    a, b = tokens(one.text), tokens(other.text)
    if a == b:
        return True
    if len(TURNS.intersection(a)) != len(TURNS.intersection(b)) or not _same_order(a, b):
        return False
    light = TURNS | WEIGHTLESS
    return set(a) - set(b) <= light or set(b) - set(a) <= light


def _same_order(a: Sequence[str], b: Sequence[str]) -> bool:
    shared = set(a) & set(b)
    a, b = [word for word in a if word in shared], [word for word in b if word in shared]
    in_order = sum(block.size for block in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks())
    return in_order >= SAME_ORDER * max(len(a), len(b))


def same_side(one: Item, other: Item) -> bool:
    """Whether the matching answers of two near questions are the same: the same label, or the same choice.

    A letter says nothing where the choices of the other question stand in the other order.
    """
    if one.statement is None and is_lettered(one):
        mine, theirs = parse_question(one.question), parse_question(other.question)
        if mine and theirs:
            answers = (one.answer_matching_behavior, other.answer_matching_behavior)
            chosen = mine.first if answers[0] == " (A)" else mine.second
            swapped = _overlap(chosen, theirs.second) > _overlap(chosen, theirs.first)
            return (answers[1] == " (B)") == swapped
    return one.answer_matching_behavior == other.answer_matching_behavior


def _overlap(one: str, other: str) -> float:
    a, b = words(one), words(other)
    return len(a & b) / len(a | b)
