"""Marks of a format that is not an item's: chat templates, dialogs, markup, code, closing delimiters."""

from __future__ import annotations

import re

from filters._shown import ROLE_TOKEN, squeezed

MARKUP = (
    ("role tokens of a chat template", ROLE_TOKEN),
    (
        "role names before a colon",
        re.compile(
            r"(?:^|[\n.!?\"\u201d])\s*[#*_\[(<]*\s*(?:Human|Assistant|User|System|AI|Bot|Judge|Model|GPT|ChatGPT"
            r"|Claude|Gemini|Llama|Qwen|Hint|Grader|Evaluator|Rater|Annotator|Developer|Instruction|Instructions"
            r"|Response|Input|Output|Answer|Label|Statement|Question|Verdict|Judge?ment|Score|Rating|Relevance"
            r"|Confidence|Prompt|Result|Classification|Explanation|Reasoning|Thought|Final [Aa]nswer|Q|A|H|HUMAN"
            r"|ASSISTANT|USER|SYSTEM|ANSWER|JUDGE|LABEL|VERDICT|SCORE)\s*[*_\])>]*\s*(?:[:=]|->)|\b(?:Human"
            r"|Assistant|User)\s*:\s"
        ),
    ),
    ("template braces", re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}|\$\{|<%|%>|<\?(?:php|xml)")),
    ("comments", re.compile(r"<!--|--\s?>\s*$|/\*|\*/|<!\[CDATA\[|<!(?:DOCTYPE|ENTITY)", re.I)),
    ("tags", re.compile(r"</\s?[a-z][\w:-]*\s?>|<[a-z][\w:-]*(?:\s+[\w:-]+\s?=\s?[^<>]*)?\s?/?>", re.I)),
    (
        "key and value pairs",
        re.compile(
            r"[\"'][\w -]{1,40}[\"']\s*:\s*[\"'\d\[{tfn]|\{\s*\w+\s*:|(?:^|\n)\s*\w+\s*:\s*(?:yes|true"
            r"|1(?:\.0)?)\s*(?:$|\n)",
            re.I,
        ),
    ),
    ("code fences", re.compile(r"```|~~~|(?:^|\n)\s*(?:import |def \w+\(|print\(|return )")),
    (
        "headings and rules",
        re.compile(
            r"(?:^|\n)\s*#{1,6}\s*\w|#{3,}|[=]{3,}|[*]{4,}|_{3,}|-{4,}|(?:^|\s)-{3}(?:\s|$)|~{3,}|>{3,}|<{3,}"
            r"|\|[^|\n]+\|[^|\n]+\|"
        ),
    ),
    ("commands", re.compile(r"(?:%[sdnx]){2,}|;\s*(?:DROP|SELECT|DELETE|INSERT|UPDATE)\b|\bsudo \w|\brm -rf\b")),
    ("links", re.compile(r"https?://|\]\(|javascript:|\bdata:\w+/", re.I)),
    ("escapes", re.compile(r"\\[nrt\"](?:[^\w]|[A-Z]|$)|\x1b\[")),
)
"""Marks of a format that is not an item's, for statements."""

QUESTION_MARKUP = ("role tokens of a chat template",)
_TURN = re.compile(r"\n\s*(?:Human|HUMAN|Assistant|ASSISTANT|System|SYSTEM|Judge|JUDGE|Label|Verdict)\s*:\s*\S|<!--")


def marked_up(text: str, is_statement: bool) -> str:
    """Which marks of another format the text holds; "" where it is plain."""
    plain = squeezed(text)
    for reason, pattern in MARKUP:
        if (is_statement or reason in QUESTION_MARKUP) and pattern.search(plain):
            return reason
    if not is_statement and _TURN.search(plain):
        return "a turn of a dialog"
    return _unbalanced(plain) if is_statement else ""


def _unbalanced(text: str) -> str:
    """Whether a quotation mark ends a quotation that was never begun, as one does that closes a delimiter."""
    if not re.search("[\u201e\u201a]", text):
        text = text.translate({0x201C: '"', 0x201D: '"'})
    is_open = False
    for i, character in enumerate(text):
        if character == '"':
            begins = (i == 0 or not text[i - 1].isalnum()) and i + 1 < len(text) and not text[i + 1].isspace()
            if not is_open and (not begins or text[i - 1 : i] in (".", "!", "?")):
                return "a closing quotation mark without an opening one"
            is_open = not is_open
    return ""
