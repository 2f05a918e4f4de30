"""Signs in the letters of a text that it is made for a machine to read: unseen characters, disguises, codes, noise."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from itertools import pairwise

from filters._shown import is_unseen

BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
TOLERATED = frozenset("\u200b\u00ad\u200c\u200d\ufe0f\ufeff")
"""Zero-width spaces, soft hyphens, joiners and the like, of which one or two come along when text is copied.

13 of 45,534 published statements hold one. More of them, or one inside a word, is a disguise."""
MOST_TOLERATED = 2

LOOK_ALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0445\u0443\u0456\u0458\u0455\u043a\u043c\u0442\u04bb\u0501\u051b\u051d"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0423\u0406\u0408\u0405"
    "\u03b1\u03bf\u03c1\u03bd\u03b9\u03ba\u03c5\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
    "\u0131\u0261\u0251",
    "aeopcxyijskmthdqw" + "ABEKMHOPCTXYIJS" + "aopvikuABEZHIKMNOPTYX" + "iga",
)
"""Cyrillic, Greek and Latin letters that look like those of the Latin alphabet (from Unicode's confusables)."""

_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC")
"""Scripts with letters that look alike. Others do not pass for one another."""
_WORD = re.compile(r"[^\W\d_]+")
_LONG_WORD = 50
"""No published item has a word of more letters, but for addresses."""
_CODES = (
    (
        "hexadecimal code",
        re.compile(r"\b(?:0x)?(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{16,}\b|(?:\b[0-9a-f]{2}\b[ :]?){8,}", re.I),
    ),
    (
        "escaped characters",
        re.compile(
            r"(?:%[0-9a-f]{2}){3,}|(?:%[0-9a-f]{2}\w*){5,}|(?:\\(?:x[0-9a-f]{2}|u[0-9a-f]{4})){2,}"
            r"|(?:&#?\w{2,8};\s?){2,}",
            re.I,
        ),
    ),
    ("binary code", re.compile(r"\b[01]{7,9}(?: ?[01]{7,9})+\b")),
    ("Morse code", re.compile(r"(?:(?<!\S)[.\-\u2013\u2014\u00b7_]{1,6}(?:\s*/)?\s+){4,}")),
    ("letters apart", re.compile(r"(?<![^\W_])(?:[^\W\d_][\s.\-_*,|]{1,3}){5,}[^\W\d_](?![^\W_])")),
)
_RUN = re.compile(r"([^\W_])\1{5,}|([^\w\s.\-_=*#\u2026\u2013])\2{4,}|(.)\3{24,}")
_LONG_RUN = re.compile(r"([^\W_\d])\1{24,}|(.)\2{499,}")
_BASE64 = re.compile(r"(?<![\w+/])[A-Za-z0-9+/_-]{16,}={0,2}(?![\w+/])")


def unseen(text: str) -> str:
    """Why the characters that nobody sees speak against the text; "" where they do not."""
    if text.isascii() and text.isprintable():
        return ""
    if any(c in BIDIRECTIONAL for c in text):
        return "bidirectional control characters"
    found = Counter(c for c in text if c != "\t" and is_unseen(c))
    strange = sum(found.values()) - sum(found[c] for c in TOLERATED)
    if strange:
        return "control or invisible characters"
    if sum(found.values()) > MOST_TOLERATED or re.search("[A-Za-z][\u200b\u200c\u200d\ufeff][A-Za-z]", text):
        return "invisible characters"
    return ""


def disguised(text: str) -> str:
    """Why the letters of the text are not what they look like; "" where they are."""
    if text.isascii():
        return ""
    for word in _WORD.findall(unicodedata.normalize("NFC", text)):
        # A Greek letter that looks like no Latin one is a sign: "μm".
        letters = [c for c in word if not (_script(c) == "GREEK" and c.translate(LOOK_ALIKES) == c)]
        if len(found := {script for c in letters if (script := _script(c))}) > 1:
            return f"letters of several scripts in one word ({' and '.join(sorted(found)).lower()})"
    if re.search(r"[A-Za-z]", text) and any(_passes_for_latin(word) for word in _WORD.findall(text)):
        return "a word of look-alike letters"
    if sum(_is_styled(c) for c in text) > 2:
        return "letters in disguise (full-width, mathematical or enclosed)"
    if re.search(r"\S", text) and max(_marks_in_a_row(text)) > 2:
        return "letters under piles of marks"
    return ""


def encoded(text: str) -> str:
    """What kind of code a part of the text is; "" where it is plain."""
    for name, pattern in _CODES:
        if pattern.search(text):
            return name
    if any(_is_base64(found) for found in _BASE64.findall(text)):
        return "base64 code"
    if any(len(word) > _LONG_WORD for word in re.findall(r"[^\s/\\-]+", text)):
        return f"a word of more than {_LONG_WORD} characters"
    return ""


def noise(text: str, is_statement: bool) -> str:
    """Why the text repeats itself or is hardly made of words; "" where it is not.

    Questions may draw lines, count in millions and list alike choices.
    """
    if found := (_RUN if is_statement else _LONG_RUN).search(text):
        return f"{found[0][0]!r} again and again"
    if re.search(r"\b(\w[\w']*)(?:\W+\1\b){3,}", text, re.I):
        return "the same word again and again"
    words = re.findall(r"\w+", text.lower())
    least = 0.34 if is_statement else 0.12
    if len(words) >= (24 if is_statement else 100) and len(set(words)) < least * len(words):
        return "the same words again and again"
    if _most_repeated(words) > (3 if is_statement else 30):
        return "the same phrase again and again"
    plain = sum(c.isalpha() or c.isspace() or _is_mark(c) for c in text)
    return "more signs than words" if is_statement and len(text) > 7 and plain < 0.6 * len(text) else ""


def _most_repeated(words: list[str]) -> int:
    """How often the most frequent run of four words occurs."""
    return max(Counter(zip(*(words[i:] for i in range(4)), strict=False)).values(), default=0)


def _script(character: str) -> str | None:
    if not character.isalpha() or character in "\u00b5\u2126":
        return None
    name = unicodedata.name(character, "")
    return next((script for script in _SCRIPTS if name.startswith(script)), None)


def _passes_for_latin(word: str) -> bool:
    return (
        len(word) > 1 and not word.isascii() and word.translate(LOOK_ALIKES).isascii() and _script(word[0]) != "LATIN"
    )


def _is_styled(character: str) -> bool:
    """Whether the character stands for a plain letter: full-width, mathematical, enclosed, small or superscript."""
    if ord(character) < 0x1D2C or "\u1e00" <= character <= "\u1fff":
        return False
    plain = unicodedata.normalize("NFKC", character)
    name = unicodedata.name(character, "")
    return (
        (plain != character and any(c.isascii() and c.isalpha() for c in plain))
        or name.startswith(("REGIONAL INDICATOR", "LATIN LETTER SMALL CAPITAL", "NEGATIVE", "BRAILLE"))
        or "SQUARED LATIN" in name
    )


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


def _marks_in_a_row(text: str) -> list[int]:
    runs = [0]
    for character in unicodedata.normalize("NFC", text):
        runs.append(runs[-1] + 1 if unicodedata.category(character) in ("Mn", "Me") else 0)
    return runs


def _is_base64(text: str) -> bool:
    letters = text.rstrip("=")
    kinds = sum(map(any, (map(str.isupper, letters[1:]), map(str.islower, letters), map(str.isdigit, letters))))
    # "FirstWordSecondWord" and paths change case now and then, a code at every other letter.
    changes = sum(a.isupper() != b.isupper() for a, b in pairwise(letters))
    return changes >= 0.25 * len(letters) and (kinds == 3 or text.endswith("=") or len(letters) >= 24)
