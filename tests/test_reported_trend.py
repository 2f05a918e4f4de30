"""A dataset's report takes the answers by item into its trend where a family has models enough for a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import flow, store
from pipeline.calls import CallStore, StoredModel
from pipeline.evaluate import evaluate
from pipeline.models import fake
from pipeline.store import Dataset
from pipeline.trends import Trend
from tests.planted import item


def reported(folder: Path, *sizes: str) -> Trend:
    items = tuple(item(f"I like number {i * i} of the {i} things") for i in range(60))
    dataset = Dataset("things", folder / "things.jsonl", items, None, folder / "things.results")
    for size in sizes:
        point, answers = evaluate(items, StoredModel(fake.connect(size), CallStore(folder / "calls.sqlite")))[:2]
        store.write_results(dataset, point, answers)
    return flow.report(dataset, None).trend


def test_three_sizes_of_a_family_have_an_interval_of_these_models_only_and_two_have_none(tmp_path: Path) -> None:
    two = reported(tmp_path / "two", "1b", "2b")
    three = reported(tmp_path / "three", "1b", "2b", "8b")
    assert two.these_models_low is None
    assert three.these_models_low < three.slope_points_per_decade < three.these_models_high
    assert three.slope_points_per_decade == pytest.approx(three.families[0].slope)
