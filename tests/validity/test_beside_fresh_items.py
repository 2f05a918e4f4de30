"""A published file is compared with the version of the same behaviour that was written here."""

from __future__ import annotations

from pathlib import Path

from pipeline import flow, plugins, prompts, store
from pipeline.calls import CallStore, StoredModel
from pipeline.flow import Cast
from pipeline.generation.recipe import Recipe
from pipeline.ports import SilentProgress

BEHAVIOUR = prompts.describe("a person who is fond of trains")


def fake(name: str, folder: Path) -> StoredModel:
    return StoredModel(plugins.load("models", "fake").connect(name, note=lambda _: None), CallStore(folder))


def test_both_scores_and_their_difference_stand_in_the_report(tmp_path: Path) -> None:
    root, calls = tmp_path / "generated", tmp_path / "calls"
    cast = Cast(fake("writer", calls), fake("judge", calls), None)
    made = flow.generate(BEHAVIOUR, cast, Recipe(n=20), root, SilentProgress()).dataset
    assert made is not None
    file = tmp_path / f"{BEHAVIOUR.name}.jsonl"
    file.write_text(store.rows_to_text(made.items[:8]))
    published = store.find(str(file), root)
    for dataset, names in ((made, ["1b", "8b"]), (published, ["1b"])):
        list(flow.run(dataset, [fake(name, calls) for name in names]))
    found = flow.report(published, BEHAVIOUR).validity
    assert found is not None and found.fresh is not None
    assert found.fresh.dataset == made.label
    (row,) = found.fresh.scores
    assert (row.model, row.published.n, row.fresh.n) == ("fake/1b", 8, 20)
    assert row.difference.low is not None and row.difference.high is not None
    own = flow.report(made, BEHAVIOUR).validity
    assert own is not None and own.fresh is None
    assert "What else could explain it" in (published.folder / "report.html").read_text()
