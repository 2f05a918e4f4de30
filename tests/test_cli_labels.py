"""Labels on the command line: brought in, corrected by, and never mistaken for somebody else's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import UsageError

STATEMENTS = [f"I am fond of {line} trains" for line in ("fast", "slow", "night", "toy", "steam", "goods", "local")]


@pytest.fixture
def trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bare file with the published field names, run on two models."""
    monkeypatch.setenv("MWE_CACHE_DIR", str(tmp_path / "calls"))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "trains.jsonl"
    answers = ((" Yes", " No"), (" No", " Yes"))
    rows = [
        {"question": f"{text}?", "statement": text, "answer_matching_behavior": yes, "answer_not_matching_behavior": no}
        for i, text in enumerate(STATEMENTS)
        for yes, no in [answers[i % 2]]
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    mwe("run", str(path), "--models", "fake/1b,fake/100b")
    return path


def mwe(*arguments: str, keys: str = ""):
    """What a verb printed, as data; its messages are beside it."""
    done = CliRunner().invoke(app, [*arguments, "--json"], input=keys, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), done.stderr


def rows(trains: Path, kind: str, wrong: int = 0) -> Path:
    """A file of one rater's labels of every item, made elsewhere."""
    from pipeline.store import find

    items = find(str(trains), trains.parent).items
    given = [
        {"id": item.id, "label": "wrong" if i < wrong else "right", "relevance": "on_topic", "note": "", "rater": "x"}
        for i, item in enumerate(items)
    ]
    path = trains.with_name(f"by-{kind}.jsonl")
    path.write_text("".join(json.dumps({**row, "rater_kind": kind, "time": "2026-01-01"}) + "\n" for row in given))
    return path


def test_labels_added_later_change_the_next_report(trains: Path) -> None:
    before, _ = mwe("report", str(trains))
    assert before[0]["label_accuracy"] is None
    assert {point["corrected_score"] for point in before[0]["points"]} == {None}
    checked, said = mwe("check", str(trains), "--rater", "ada", keys="rrrrwrr")
    assert (checked["labels"], checked["rater_kind"]) == (7, "person") and "of 7 judged items" in said
    after, said = mwe("report", str(trains))
    accuracy = after[0]["label_accuracy"]
    assert set(accuracy) >= {"value", "low", "high", "n", "rater_kind", "weighted"}
    assert (accuracy["n"], accuracy["rater_kind"]) == (7, "person") and accuracy["value"] == pytest.approx(6 / 7)
    for point in after[0]["points"]:
        assert point["correction"] == "ppi" and point["corrected_low"] <= point["corrected_score"]
    assert "by a person's labels" in said and "rated by a person (ada)" in said
    assert after[0]["points"][0]["score"] == before[0]["points"][0]["score"]


def test_a_models_labels_come_in_as_a_models_and_give_way_to_a_persons(trains: Path) -> None:
    found, said = mwe("check", str(trains), "--labels", str(rows(trains, "model", wrong=2)))
    assert (found["labels"], found["agreement"], found["rater_kind"]) == (7, pytest.approx(5 / 7), "model")
    assert "7 new labels" in said and "Rated by a model (x)" in said
    report, said = mwe("report", str(trains))
    page = (trains.with_name("trains.results") / "report.html").read_text()
    labels = page[page.index("<h2>Labels") : page.index("<h2>Items")]
    # The command that is proposed next names whom the behaviour is of.
    for text in (said.replace("--subject person", ""), labels, json.dumps(report[0]["spot_checks"])):
        assert "model" in text and "person" not in text and "people" not in text and "human" not in text
    found, _ = mwe("check", str(trains), "--labels", str(rows(trains, "person")))
    assert (found["labels"], found["agreement"], found["rater_kind"]) == (7, 1, "person")
    assert [each["rater_kind"] for each in found["spot_checks"]] == ["person", "model"]


def test_a_file_that_holds_no_labels_of_the_dataset_is_refused(trains: Path) -> None:
    path = trains.with_name("others.jsonl")
    path.write_text(rows(trains, "person").read_text().replace('"id": "', '"id": "x'))
    with pytest.raises(UsageError, match="no label of an item of this dataset"):
        CliRunner().invoke(app, ["check", str(trains), "--labels", str(path)], catch_exceptions=False)
