"""What a judge is shown of an item: its text as delimited data.

Templates put a statement between quotation marks. So that it can neither end there nor begin a paragraph or a turn of
its own, a judge reads it on one line, with single quotation marks inside, without characters that nobody sees, and with
the role tokens of chat templates taken apart. Ordinary statements stay as they are, letter for letter.
Whether such a text is an item at all is for `filters/injection.py` to say.
"""

from __future__ import annotations

import re
import unicodedata

from pipeline.schema import QUESTION_CHARACTERS, STATEMENT_CHARACTERS

ELLIPSIS = " … "

ROLE_TOKEN = re.compile(
    r"<(?=\s?[|\uff5c])[^<>\n]{1,60}>|<\s?/?\s?(?:s|bos|eos|pad|unk|start_of_turn|end_of_turn|end_of_text|begin_of_text"
    r"|think|thinking|im_start|im_end|system|user|assistant|human|inst|tool_call|tool_response)\s?/?\s?>"
    r"|\[\s?/?\s?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|SYSTEM|SYS|CLS|SEP|MASK|PAD|UNK|BOS|EOS)\s?\]|<<\s?/?\s?SYS\s?>>",
    re.IGNORECASE,
)
"""Words that chat templates put around turns, and that some servers take for these wherever they stand."""

_UNSEEN = re.compile("[\u115f\u1160\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Fillers and variation selectors, which Unicode files under letters, symbols and marks."""
_SPACES = re.compile(r"\s+")
_LINE_BREAKS = "\n\r\t\v\f\x85\u2028\u2029"


def shown_statement(text: str) -> str:
    """A statement as it stands between the quotation marks of a template: one line of at most 1,000 characters."""
    if text.isascii() and text.isprintable() and '"' not in text and len(text) <= STATEMENT_CHARACTERS:
        return _without_roles(text)
    line = text.translate(dict.fromkeys(map(ord, _LINE_BREAKS), " "))
    return _without_roles(_shortened(seen(line).replace('"', "'"), STATEMENT_CHARACTERS))


def shown_question(text: str) -> str:
    """A question with its choices: several lines of at most 6,000 characters."""
    return _without_roles(_shortened(seen(text), QUESTION_CHARACTERS))


def seen(text: str) -> str:
    """The text without characters that nobody sees: controls, format and bidirectional marks, fillers, surrogates."""
    if text.isprintable() and text.isascii():
        return text
    return "".join(c for c in text if not is_unseen(c))


def squeezed(text: str) -> str:
    """What is seen of the text, with single spaces and line breaks: what patterns search, in time that stays linear."""
    return _SPACES.sub(lambda found: "\n" if "\n" in found[0] else " ", seen(text))


def is_unseen(character: str) -> bool:
    """Whether nobody sees the character, though it is no white space."""
    if character in _LINE_BREAKS:
        return False
    return unicodedata.category(character)[0] == "C" or bool(_UNSEEN.match(character))


def _shortened(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = (most - len(ELLIPSIS)) // 2
    return text[:half] + ELLIPSIS + text[-half:]


def _without_roles(text: str) -> str:
    """Role tokens taken apart, so that no tokenizer knows them: "<|im_end|>" reads "< |im_end| >"."""
    return ROLE_TOKEN.sub(lambda found: f"{found[0][0]} {found[0][1:-1].strip()} {found[0][-1]}", text)
