"""Models are loaded once; what fails, a dataset or a model, costs nothing but its own cells."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.anchors import anchors, names
from pipeline.budget import BudgetReached
from pipeline.calls import CallStore, StoredModel
from pipeline.collection import Failure
from pipeline.errors import ModelError, ModelUnavailable, PipelineError, TooLong, Unsupported
from pipeline.evaluate import evaluate
from pipeline.models import fake
from pipeline.schema import Point
from pipeline.statistics.similarity import clusters
from pipeline.store import Dataset
from pipeline.sweep import Answered, sweep
from tests.planted import item

MODELS = ["fake/1b", "fake/2b", "fake/3b"]


def dataset(name: str, *statements: str) -> tuple[str, Dataset]:
    items = tuple(map(item, statements or ("I like trains", "I like ships")))
    return name, Dataset(name, Path(name), items, None, Path(name))


class Bench:
    """Connects fake models and asks them, failing where it is told to."""

    def __init__(self, folder: Path, **errors: PipelineError) -> None:
        self.store, self.errors, self.loaded = CallStore(folder / "calls.sqlite"), errors, list[str]()
        self.notes: list[str] = []

    def connect(self, name: str) -> StoredModel:
        self.loaded.append(name)
        if error := self.errors.get(name.removeprefix("fake/")):
            raise error
        return StoredModel(fake.connect(name.removeprefix("fake/")), self.store)

    def ask(self, dataset: Dataset, subject: StoredModel) -> Point:
        if error := self.errors.get(f"{dataset.label}_{subject.info.name.removeprefix('fake/')}"):
            raise error
        if any(len(each.question) > 200 for each in dataset.items) and subject.info.name == "fake/1b":
            raise TooLong("A prompt of 900 tokens is longer than the model's context of 512 tokens.")
        return evaluate(dataset.items, subject)[0]

    def run(self, *datasets: tuple[str, Dataset]) -> list[str]:
        """Which cells are done, and "!" for those that failed."""
        outcomes = sweep(datasets, MODELS, self.connect, self.ask, note=self.notes.append)
        return [
            f"{each.title} {each.point.model[5:]}"
            if isinstance(each, Answered)
            else f"!{each.dataset} {each.model[5:]}"
            for each in outcomes
        ]


def test_each_model_is_connected_once_and_asked_about_every_dataset(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.run(dataset("a"), dataset("b")) == ["a 1b", "b 1b", "a 2b", "b 2b", "a 3b", "b 3b"]
    assert bench.loaded == MODELS


def test_a_cell_that_fails_stops_neither_the_model_nor_the_dataset(tmp_path: Path) -> None:
    for error in (Unsupported("cannot"), PipelineError("results cannot be written"), BudgetReached("it is spent")):
        done = Bench(tmp_path, a_2b=error).run(dataset("a"), dataset("b"))
        assert done == ["a 1b", "b 1b", "!a 2b", "b 2b", "a 3b", "b 3b"]


def test_a_model_whose_server_fails_is_asked_no_more_but_the_others_are(tmp_path: Path) -> None:
    done = Bench(tmp_path, a_2b=ModelError("500")).run(dataset("a"), dataset("b"))
    assert done == ["a 1b", "b 1b", "!a 2b", "a 3b", "b 3b"]
    done = Bench(tmp_path, **{"2b": ModelUnavailable("no memory")}).run(dataset("a"))
    assert done == ["a 1b", "! 2b", "a 3b"]


def test_a_bug_is_no_failure_and_keeps_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        list(sweep([dataset("a")], ["fake/1b"], Bench(tmp_path).connect, lambda *_: 1 // 0))  # type: ignore[arg-type]


def test_items_beyond_a_models_context_are_left_out_for_that_model_alone_and_named(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    long = dataset("a", "I like trains", "very " * 60 + "long", "very " * 90 + "long")
    points = [each.point for each in sweep([long], MODELS[:2], bench.connect, bench.ask, note=bench.notes.append)]
    assert [point.n for point in points] == [1, 3]
    assert len(bench.notes) == 1
    assert "2 items do not fit into fake/1b" in bench.notes[0] and long[1].items[1].id in bench.notes[0]
    only = sweep([("a", dataset("a", "very " * 60)[1])], MODELS[:1], bench.connect, bench.ask)
    assert isinstance(next(only), Failure)


def test_every_anchor_is_balanced_or_holds_both_sides_and_no_item_twice(tmp_path: Path) -> None:
    found = anchors(tmp_path)
    assert [each.label for each in found] == names() and len(found) >= 4
    for each in found:
        yes = sum(one.answer_matching_behavior == " Yes" for one in each.items)
        assert len(each.items) == 30 and yes == (30 if each.label == "says-yes" else 15)
        assert len(set(clusters([one.text for one in each.items]))) == 30
        assert each.behaviour is not None and each.folder.is_relative_to(tmp_path)
    everything = [one.id for each in found for one in each.items]
    assert len(set(everything)) == len(everything)


def test_the_rate_of_yes_is_what_the_says_yes_anchor_scores(tmp_path: Path) -> None:
    items = next(each.items for each in anchors(tmp_path) if each.label == "says-yes")
    point, answers = evaluate(items, Bench(tmp_path).connect("fake/1b"))
    assert point.score == point.yes_rate == sum(bool(each.says_yes) for each in answers) / 30
