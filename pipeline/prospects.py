"""What is said of what could be asked: ladders and plans, to a person in tables, to a program as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from pipeline.ladders import Ladder, Rung, with_published
from pipeline.telling import rendered

AXES = {
    "parameters": "size",
    "training_tokens": "training tokens",
    "rl_steps": "RL steps",
    "steps": "training steps",
    "best_of": "best of k",
    "order": "order, of unknown spacing",
    "type": "type of model",
}
"""What grows along an axis, in words."""


def short(number: float) -> str:
    """A large number as people write it: 405M, 1.41B, 18T."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if number >= 0.9995 * size:
            return f"{number / size:.3g}{letter}"
    return f"{number:,.0f}"


def ladder_json(ladder: Ladder) -> list[dict[str, Any]]:
    """A row a model, in order, with everything that is known of it."""
    return [
        {"ladder": ladder.name, **with_published(rung).model_dump(mode="json"), "axis": ladder.axis}
        for rung in ladder.models
    ]


def ladders_json(ladders: Sequence[Ladder]) -> list[dict[str, Any]]:
    """A row a ladder."""
    return [
        {**each.model_dump(mode="json", exclude={"models"}), "families": _families(each), "models": len(each.models)}
        for each in ladders
    ]


def ladder_text(ladder: Ladder, width: int) -> str:
    """One ladder as a table with its heading."""
    rungs = [with_published(rung) for rung in ladder.models]
    columns = {title: cells for title, cells in _columns(ladder, rungs).items() if any(cells)}
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    for title in columns:
        table.add_column(title, justify="right" if title in _NUMBERS else "left", overflow="fold")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*map(Text, row))
    head = [f"{ladder.name}: {ladder.description}", f"axis: {AXES[ladder.axis]}"]
    head += [f"note: {ladder.note}"] if ladder.note else []
    chosen = {rung.preference for rung in rungs if rung.preference}
    head += [f"replies are chosen by {', '.join(sorted(chosen))}"] if chosen else []
    head += [f"facts from {ladder.source}"] if ladder.source else []
    return "\n".join([*head, ""]) + rendered(table, width)


def ladders_text(ladders: Sequence[Ladder], width: int) -> str:
    """All ladders, a line each."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    for title in ("ladder", "models", "axis", "from", "to"):
        table.add_column(title, justify="right" if title in {"models", "from", "to"} else "left", no_wrap=True)
    table.add_column("what it is", ratio=1)
    for each in ladders:
        ends = _ends(each)
        cells = (each.name, str(len(each.models)), AXES[each.axis].partition(",")[0], *ends, each.description)
        table.add_row(*map(Text, cells))
    return rendered(table, width)


_NUMBERS = {"parameters", "active", "training tokens", "value"}


def _columns(ladder: Ladder, rungs: Sequence[Rung]) -> dict[str, list[str]]:
    def number(value: float | None) -> str:
        return "" if value is None else short(value)

    return {
        "model": [rung.name for rung in rungs],
        "variant": [rung.variant or "" for rung in rungs],
        "value": [number(rung.value) if ladder.axis not in ("parameters", "type") else "" for rung in rungs],
        "family": [rung.family or "" for rung in rungs] if len({rung.family for rung in rungs}) > 1 else [],
        "parameters": [number(rung.parameters) for rung in rungs],
        "active": [number(rung.active_parameters) for rung in rungs],
        "training tokens": [number(rung.training_tokens) for rung in rungs],
        "kind": [rung.kind or "" for rung in rungs],
        "quantised": [rung.quantisation or "" for rung in rungs],
        "licence": [rung.licence or "" for rung in rungs],
    }


def _ends(ladder: Ladder) -> tuple[str, str]:
    rungs = [with_published(rung) for rung in ladder.models]
    along = [rung.parameters if ladder.axis == "parameters" else rung.value for rung in rungs]
    known = [each for each in along if each is not None]
    if not known or ladder.axis in ("order", "type"):
        return "", ""
    return short(known[0]), short(known[-1])


def _families(ladder: Ladder) -> list[str]:
    return sorted({rung.family for rung in map(with_published, ladder.models) if rung.family})
