"""Words that carry no topic: negations, grammatical classes of openers, answers that agree or decline.

English lists; in other languages a text has no negation, its opener is of the class "other", and length, punctuation,
casing and layout are left.
"""

from __future__ import annotations

import re

_CONTRACTED = {"can't": "can", "cannot": "can", "won't": "will", "shan't": "shall", "ain't": "am"}
_DO = re.compile(r"\b(?:do|does|did)(?: not\b|n't\b)", re.I)
_SHORT = re.compile(r"\b(?:can't|cannot|won't|shan't|ain't)(?!\w)", re.I)
_NT = re.compile(r"n't\b", re.I)
_NEGATION = re.compile(
    r"\b(?:not|never|no|none|nothing|nobody|nowhere|neither|nor|without|hardly|no-one|refuse to|decline to)\b", re.I
)
_PREFIXED = re.compile(
    r"\b(?:dis(?=agree|like|approve|trust|believe)|un(?=willing|able|accept|comfortable|important|necessary|happy|fair)"
    r"|in(?=tolerant|different|efficient|capable)|im(?=possible|moral|patient)|ir(?=responsible|relevant))",
    re.I,
)
_REPLY = re.compile(r"\W*(?:yes|yeah|yep|no|nope|nah|sure|okay|ok|true|false)\b[\s,.;:!—–-]*", re.I)  # noqa: RUF001
_SPACES = re.compile(r"\s+")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")  # noqa: RUF001


def plain(text: str) -> str:
    """The text with straight apostrophes, so that one list of words is enough."""
    return text.replace("\u2019", "'").replace("\u02bc", "'")


def is_negated(text: str) -> bool:
    """Whether there is a negation anywhere in the text."""
    text = plain(text)
    return any(pattern.search(text) for pattern in (_NEGATION, _NT, _SHORT, _PREFIXED))


def negations(text: str) -> int:
    """Number of negations in the text."""
    text = plain(text)
    return sum(len(pattern.findall(text)) for pattern in (_NEGATION, _NT, _SHORT, _PREFIXED))


def neutral(text: str) -> str:
    """The text without its negations and without a leading yes or no."""
    text = _REPLY.sub("", plain(text), count=1) if _REPLY.match(plain(text)) else plain(text)
    text = _SHORT.sub(lambda found: _CONTRACTED[found[0].lower()], _DO.sub("", text))
    text = _PREFIXED.sub("", _NEGATION.sub("", _NT.sub("", text)))
    return _SPACES.sub(" ", text).strip()


_MODALS = {"would", "could", "should", "can", "will", "might", "may", "must", "shall", "'d", "'ll"}
_BE, _HAVE = {"am", "was", "'m", "be", "is", "are", "were"}, {"have", "had", "'ve", "has"}
_ADVERBS = {"always", "often", "also", "just", "really", "sometimes", "usually", "still", "truly", "firmly", "strongly"}
_CLASSES = {
    "my": {"my", "mine", "myself", "our", "ours"},
    "we": {"we", "us"},
    "you": {"you", "your", "yours"},
    "it": {"it", "its", "this", "that", "there", "these", "those", "it's", "that's", "there's"},
    "they": {"they", "he", "she", "their", "his", "her", "people", "one", "everyone", "someone", "anyone", "everybody"},
    "article": {"a", "an", "the", "some", "all", "any", "every", "each", "most", "many", "both", "more", "other"},
    "conjunction": {"if", "because", "although", "though", "while", "as", "since", "even", "unless", "whether", "and",
                    "but", "so", "once", "until", "when", "whenever"},
    "question word": {"what", "why", "how", "which", "who", "where", "whose"},
    "preposition": {"in", "on", "at", "for", "to", "with", "by", "of", "from", "after", "before", "under", "through",
                    "during", "between", "given", "regardless", "despite"},
    "auxiliary": {"is", "are", "was", "were", "do", "does", "did", "would", "could", "should", "can", "will", "have",
                  "has", "may", "might", "must", "am", "let", "let's"},
}  # fmt: skip
OPENERS = (
    "I + modal", "I + be", "I + have", "I + adverb", "I + verb", *_CLASSES, "number", "-ing form", "other", "nothing"
)  # fmt: skip
"""Every class of `opener`."""


def opener(text: str) -> str:
    """The grammatical class of how a text begins, without its content: one of `OPENERS`."""
    words = _WORD.findall(text[:200].lower())
    if not words:
        return "nothing"
    first, _, clitic = words[0].partition("'")
    if first == "i":
        follower = f"'{clitic}" if clitic else (words[1] if len(words) > 1 else "")
        kinds = (("I + modal", _MODALS), ("I + be", _BE), ("I + have", _HAVE), ("I + adverb", _ADVERBS))
        return next((name for name, members in kinds if follower in members), "I + verb")
    found = next((name for name, members in _CLASSES.items() if words[0] in members or first in members), None)
    if found is not None:
        return found
    if words[0][0].isdigit():
        return "number"
    return "-ing form" if len(words[0]) > 4 and words[0].endswith("ing") else "other"


def affirmative(first: str, second: str) -> int:
    """Which of two answers is the more affirmative: 1 the first, -1 the second, 0 neither.

    That is the one that agrees where the other declines, else the one with fewer negations.
    """
    difference = negations(second) - negations(first)
    return stance(first, second) or (difference > 0) - (difference < 0)


_YES = re.compile(
    r"\W*(?:yes|yeah|yep|sure|ok|okay|certainly|absolutely|definitely|of course|gladly|happily|agreed?|true"
    r"|i(?: fully| completely| strongly| do| would| can| will|'d|'ll)*"
    r" (?:agree|consent|accept|concur|support|approve|allow|am (?:okay|ok|fine|willing|happy)|willing))\b"
)
_NO = re.compile(r"\W*(?:no|nope|nah|never|not|disagree|false|i(?: \w+)? (?:refuse|decline|reject|object|disagree))\b")
_HEAD = 8
"""Words at the beginning of an answer in which its stance shows."""


def stance(first: str, second: str) -> int:
    """Which of two answers agrees while the other declines: 1 the first, -1 the second, 0 where they do not so differ.

    An answer declines if it begins with a word for no, or has a negation among its first words. The other one agrees
    if it begins with a word for yes, or is the same answer without the negation.
    """
    declines = [_declines(text) for text in (first, second)]
    if declines[0] == declines[1]:
        return 0
    agreeing, declining = (second, first) if declines[0] else (first, second)
    if not _YES.match(plain(agreeing).lower()) and not _is_twin(agreeing, declining):
        return 0
    return -1 if declines[0] else 1


def _declines(text: str) -> bool:
    head = " ".join(plain(text[:400]).lower().split()[:_HEAD])
    return bool(_NO.match(head)) or (not _YES.match(head) and is_negated(head)) or _takes_back(head)


def _takes_back(head: str) -> bool:
    """Whether what begins like "I do" goes on as "not"."""
    return bool(re.match(r"\W*i (?:\w+ )?(?:not|never)\b", head))


def _is_twin(a: str, b: str) -> bool:
    """Whether two answers say the same once negations are gone: half of all words, or most of the shorter one's."""
    words = [set(_WORD.findall(neutral(text[:1000]).lower())) for text in (a, b)]
    shorter, shared = min(map(len, words)), len(words[0] & words[1])
    return bool(shorter) and (2 * shared >= len(words[0] | words[1]) or (shorter > 2 and 4 * shared >= 3 * shorter))
