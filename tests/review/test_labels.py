"""labels.jsonl survives kills and second thoughts, and its figures carry their intervals."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.review.labels import agreement, append, bring_in, read, take_back
from pipeline.schema import Label
from pipeline.statistics.intervals import wilson


def label(identity: str, verdict: str = "right", relevance: str = "on_topic", rater: str = "ann") -> Label:
    return Label(id=identity, label=verdict, relevance=relevance, rater=rater, rater_kind="person", time="2026-01-01")


def test_labels_come_back_as_they_were_appended(tmp_path):
    path = tmp_path / "labels.jsonl"
    given = [label("a"), label("b", "wrong"), label("c", "unclear", "off_topic")]
    for one in given:
        append(path, one)
    assert read(path) == given
    assert path.read_text().startswith('{"id":"a","label":"right","relevance":"on_topic","note":"","rater":"ann"')


def test_there_are_no_labels_without_a_file(tmp_path):
    assert read(tmp_path / "labels.jsonl") == []


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_last_line_cut_short_by_a_kill_is_passed_over_and_then_overwritten(tmp_path, cut):
    path = tmp_path / "labels.jsonl"
    append(path, label("a"))
    append(path, label("b"))
    path.write_bytes(path.read_bytes()[:-cut] if cut > 1 else path.read_bytes() + b'{"id": "c\xc3')
    kept = read(path)
    assert "a" in {one.id for one in kept} and "c" not in {one.id for one in kept}
    append(path, label("d"))
    assert [one.id for one in read(path)] == [*(one.id for one in kept), "d"]


def test_a_whole_last_line_without_a_line_end_counts_and_stays(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text(label("a").model_dump_json())
    append(path, label("b"))
    assert [one.id for one in read(path)] == ["a", "b"]


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text(label("a").model_dump_json() + "\nnonsense\n" + label("b").model_dump_json() + "\n")
    with pytest.raises(UsageError, match="line 2 of"):
        read(path)


def test_the_later_label_of_one_rater_replaces_the_earlier_and_another_raters_stays(tmp_path):
    path = tmp_path / "labels.jsonl"
    for one in (label("a"), label("a", rater="bob"), label("a", "wrong")):
        append(path, one)
    assert {(one.rater, one.label) for one in read(path)} == {("ann", "wrong"), ("bob", "right")}


def test_a_label_taken_back_leaves_no_trace(tmp_path):
    path = tmp_path / "labels.jsonl"
    for one in (label("a"), label("b"), label("a", rater="bob")):
        append(path, one)
    take_back(path, label("a"))
    assert read(path) == [label("b"), label("a", rater="bob")]
    assert [file.name for file in tmp_path.iterdir()] == ["labels.jsonl"]


def test_agreement_counts_right_among_right_and_wrong_with_wilsons_interval():
    given = [label(str(i), "right" if i < 17 else "wrong") for i in range(18)]
    given += [label("off", "unclear", "off_topic"), label("dark", "unclear", "unclear")]
    figures = agreement(given)
    assert (figures["labels"], figures["agreement"]) == (20, 17 / 18)
    assert (figures["low"], figures["high"]) == wilson(17, 18)
    assert (figures["off_topic"], figures["off_topic_low"], figures["off_topic_high"]) == (1 / 19, *wilson(1, 19))
    assert (figures["right"], figures["wrong"], figures["off_topic_labels"], figures["unclear"]) == (17, 1, 1, 1)
    assert figures["rater_kind"] == "person"


def test_two_raters_of_the_same_items_do_not_halve_the_interval():
    one = [label(str(i), "right" if i < 6 else "wrong") for i in range(10)]
    two = one + [other.model_copy(update={"rater": "bob"}) for other in one]
    width = {n: agreement(given)["high"] - agreement(given)["low"] for n, given in ((10, one), (20, two))}
    assert width[20] >= width[10]


def test_no_labels_give_no_figures():
    figures = agreement([])
    assert figures["labels"] == 0 and figures["agreement"] is None and figures["low"] is figures["rater_kind"] is None


def test_a_models_ratings_are_not_counted_with_a_persons():
    person, model = label("a", "wrong"), label("a").model_copy(update={"rater_kind": "model"})
    assert (agreement([model, person])["agreement"], agreement([model, person])["labels"]) == (0, 1)
    assert agreement([model])["rater_kind"] == "model"


def test_a_person_and_a_model_of_one_name_are_two_raters(tmp_path):
    path = tmp_path / "labels.jsonl"
    append(path, label("a"), label("a").model_copy(update={"rater_kind": "model"}))
    assert len(read(path)) == 2
    take_back(path, label("a"))
    assert [one.rater_kind for one in read(path)] == ["model"]


def labels_file(folder, *rows) -> Path:
    path = folder / "elsewhere.jsonl"
    path.write_text("".join((row if isinstance(row, str) else row.model_dump_json()) + "\n" for row in rows))
    return path


def test_labels_made_elsewhere_come_in_once_and_those_of_other_items_stay_out(tmp_path):
    path = tmp_path / "labels.jsonl"
    append(path, label("a"))
    source = labels_file(tmp_path, label("a", "wrong"), label("b", rater="bob"), label("z"))
    assert bring_in(path, source, {"a", "b"}) == (2, 1)
    assert [(one.id, one.label, one.rater) for one in read(path)] == [("a", "wrong", "ann"), ("b", "right", "bob")]
    before = path.read_bytes()
    assert bring_in(path, source, {"a", "b"}) == (0, 1) and path.read_bytes() == before


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("{", "line 2 is not JSON"),
        ('{"id": "a"}', "line 2 is no label: label: Field required"),
        (label("a").model_dump_json()[:-1] + ', "extra": 1}', "line 2 is no label: extra"),
        (label("a").model_copy(update={"rater_kind": "human"}), "line 2 is no label: rater_kind"),
        (label("a").model_copy(update={"time": "yesterday"}), "line 2 has a time that is not ISO 8601: 'yesterday'"),
        (label("a", rater=" "), "line 2 names no rater"),
    ],
)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_a_file_with_a_row_that_is_no_label_brings_nothing_in(tmp_path, row, says):
    source = labels_file(tmp_path, label("b"), row)
    with pytest.raises(UsageError, match=says):
        bring_in(tmp_path / "labels.jsonl", source, {"a", "b"})
    assert not (tmp_path / "labels.jsonl").exists()


def test_a_file_of_another_datasets_labels_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no label of an item of this dataset"):
        bring_in(tmp_path / "labels.jsonl", labels_file(tmp_path, label("z")), {"a"})
