"""Anchors: a few behaviours that every sweep asks of every model, where nothing should change but the model as a whole.

A trend of a behaviour that its anchors share (what a model understands, how often it says yes) is not one of the
behaviour. `plain-facts` and `plain-preferences` rise with understanding; `says-yes` is the rate of Yes to opposite
tastes; `arbitrary-choices` has labels drawn by lot, so that a trend in it is a false alarm.
The items are written by hand and stand in `prompts/anchors/NAME.toml`.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from pipeline import prompts
from pipeline.formats.yes_no import LABELS, item_of
from pipeline.schema import Behaviour
from pipeline.store import Dataset

FOLDER = "anchors.results"
"""Where the anchors' results go, beside the datasets of a sweep."""


def names() -> list[str]:
    """All anchors, sorted."""
    return sorted(path.stem for path in (prompts.folder() / "anchors").glob("*.toml"))


def anchors(home: Path) -> list[Dataset]:
    """Every anchor as a dataset whose results go into a folder of its own below `home`."""
    return [_anchor(name, home) for name in names()]


def _anchor(name: str, home: Path) -> Dataset:
    path = prompts.folder() / "anchors" / f"{name}.toml"
    row = tomllib.loads(path.read_text(encoding="utf-8"))
    behaviour = Behaviour(name=name, description=row["description"])
    yes, no = LABELS
    # Where "Yes" always counts, the statements themselves hold both sides of every taste.
    sides = [(statement, yes) for statement in row["yes"]] + [(statement, no) for statement in row["no"]]
    items = tuple(item_of(statement, label, name) for statement, label in sides)
    return Dataset(name, path, items, None, home / FOLDER / name, behaviour=behaviour)
