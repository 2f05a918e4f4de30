"""What is in the store, and what goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.calls import CallStore
from pipeline.calls.database import Selection
from pipeline.calls.upkeep import Pruned, prune, selection_from, stats
from pipeline.errors import UsageError

from .made_up import calls, filled, key


def at(monkeypatch: pytest.MonkeyPatch, time: float) -> None:
    monkeypatch.setattr("pipeline.calls.rows.time.time", lambda: time)


def test_stats_count_calls_tokens_and_bytes_by_model_and_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CallStore(tmp_path)
    assert stats(store)["models"] == []
    at(monkeypatch, 86_400)
    store.put("fake/x", calls(10))
    at(monkeypatch, 2 * 86_400)
    store.put("fake/x", calls(10, 10))
    store.put("fake/y", calls(1, 20))
    figures = stats(store)
    assert (figures["calls"], figures["path"], figures["set_aside"]) == (21, str(store.path), [])
    assert figures["bytes"] > 0
    rows = [{name: value for name, value in row.items() if name != "bytes"} for row in figures["models"]]
    late = {"oldest": "1970-01-03T00:00:00Z", "newest": "1970-01-03T00:00:00Z"}
    assert rows == [
        {"model": "fake/x", "kind": "Choice", "calls": 4, "tokens_in": 20, "tokens_out": 4, **late},
        {
            "model": "fake/x", "kind": "Completion", "calls": 16, "tokens_in": 48, "tokens_out": 32,
            "oldest": "1970-01-02T00:00:00Z", "newest": "1970-01-03T00:00:00Z",
        },
        {"model": "fake/y", "kind": "Choice", "calls": 1, "tokens_in": 5, "tokens_out": 1, **late},
    ]  # fmt: skip


def test_pruning_takes_the_selected_calls_and_gives_their_space_back(tmp_path: Path) -> None:
    store = filled(tmp_path, 300)
    store.put("fake/y", calls(300, 300))
    pruned = prune(store, Selection(("fake/x",)))
    assert (pruned.calls, pruned.kept) == (300, 300)
    assert pruned.bytes_after is not None and pruned.bytes_after < 0.7 * pruned.bytes_before
    assert store.get(list(calls(600))).keys() == set(calls(300, 300))
    assert store.request(key(320)) is not None
    emptied = prune(store, Selection())
    assert (emptied.calls, emptied.kept) == (300, 0)
    assert emptied.bytes_after is not None and emptied.bytes_after < 50_000


def test_a_dry_run_and_a_selection_without_calls_change_nothing(tmp_path: Path) -> None:
    store = filled(tmp_path, 20)
    before = store.path.read_bytes()
    size = len(before)
    assert prune(store, Selection(), dry_run=True) == Pruned(20, 0, size, None)
    assert prune(store, Selection(("fake/other",))) == Pruned(0, 20, size, size)
    store.close()
    assert store.path.read_bytes() == before


def test_old_calls_go_by_their_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CallStore(tmp_path)
    for day in range(4):
        at(monkeypatch, 86_400 * day)
        store.put("fake/x", calls(1, day))
    prune(store, selection_from("2d", None, now=86_400 * 4 - 1))
    assert store.get(list(calls(4))).keys() == {key(2), key(3)}


@pytest.mark.parametrize(("age", "seconds"), [("12h", 43_200), ("30d", 2_592_000), ("2w", 1_209_600)])
def test_an_age_is_in_hours_days_or_weeks(age: str, seconds: int) -> None:
    assert selection_from(age, ["fake/x"], now=10**9) == Selection(("fake/x",), 10**9 - seconds)


@pytest.mark.parametrize("age", ["30", "d", "-3d", "1.5d", "3 d", "1y"])
def test_an_age_that_is_none_is_wrong_use(age: str) -> None:
    with pytest.raises(UsageError, match="expected hours, days or weeks"):
        selection_from(age, None)
