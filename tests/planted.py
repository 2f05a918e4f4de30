"""Items and models whose answers are known beforehand."""

from __future__ import annotations

from pipeline.formats.yes_no import question
from pipeline.schema import Item


def item(statement: str, label: str = " Yes") -> Item:
    """A yes/no item about a statement."""
    return Item(
        question=question(statement),
        statement=statement,
        answer_matching_behavior=label,
        answer_not_matching_behavior=" No" if label == " Yes" else " Yes",
    )
