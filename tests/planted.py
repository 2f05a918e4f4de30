"""Items and models whose answers are known beforehand."""

from __future__ import annotations

from pipeline.formats.yes_no import item_of
from pipeline.schema import Item


def item(statement: str, label: str = " Yes") -> Item:
    """A yes/no item about a statement."""
    return item_of(statement, label)
