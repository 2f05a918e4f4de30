"""A version's manifest and card say who made it, how, and what is not known."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import plugins, prompts
from pipeline.calls import CallStore, StoredModel
from pipeline.formats.yes_no import question
from pipeline.publish import publish, total_calls
from pipeline.schema import CANARY, Calls, Item
from pipeline.screen import load_filters

BEHAVIOUR = prompts.describe("a person who writes ``` and {{ 7 * 7 }} in <b>every</b> text")


def item(statement: str) -> Item:
    return Item(
        question=question(statement),
        statement=statement,
        label_confidence=0.9,
        answer_matching_behavior=" Yes",
        answer_not_matching_behavior=" No",
    )


def models(folder: Path) -> dict[str, StoredModel]:
    fake = plugins.load("models", "fake")
    names = {"generator": "writer", "judge": "judge"}
    return {role: StoredModel(fake.connect(name), CallStore(folder)) for role, name in names.items()}


def test_the_manifest_names_models_filters_templates_and_the_canary(tmp_path: Path) -> None:
    filters = load_filters(["duplicates", "preference"])
    counts = {"requested": 1, "written": 2, "unparsed": 0, "dropped": {"preference": 1}, "kept": {" Yes": 1}}
    items = [item("I use ``` in a sentence")]
    dataset, is_new = publish(
        tmp_path, BEHAVIOUR, items, [], counts, models(tmp_path), Calls(), {}, filters, ["persona_agree"], seed=5
    )
    manifest = dataset.manifest
    assert manifest is not None
    assert is_new
    assert manifest.models["generator"]["name"] == "fake/writer"
    assert [(each["name"], each["options"]) for each in manifest.filters] == [
        ("duplicates", dict(filters[0].options)),
        ("preference", dict(filters[1].options)),
    ]
    assert manifest.templates == {"persona_agree": prompts.template_hash("persona_agree")}
    assert (manifest.canary, manifest.seed, manifest.overlap) == (CANARY, 5, {"generator_is_judge": False})
    card = (dataset.path / "README.md").read_text()
    assert card.startswith("---\nlicense: other\n")
    assert "{{ 7 * 7 }}" in card
    assert "49" not in card.split("## Counts")[0]
    assert card.count("```") == 2  # the example's own
    assert "<b>" not in card.split("## An item")[0]
    assert CANARY in card


@pytest.mark.parametrize(("costs", "total"), [((0.0, 0.0), 0.0), ((0.5, 0.25), 0.75), ((0.5, None), None)])
def test_the_cost_is_unknown_as_soon_as_one_price_is(
    tmp_path: Path, costs: tuple[float | None, ...], total: float | None
) -> None:
    made = list(models(tmp_path).values())
    for model, cost in zip(made, costs, strict=True):
        model.tally = Calls(made=2, reused=1, tokens_in=10, tokens_out=5, cost=cost)
    summed = total_calls(made)
    assert (summed.made, summed.reused, summed.tokens_in, summed.cost) == (4, 2, 20, total)
    assert total_calls([made[0], made[0]]).made == 2


def test_the_card_says_what_each_way_of_asking_gave_and_what_an_item_cost(tmp_path: Path) -> None:
    row = {
        "written": 7,
        "unparsed": 1,
        "refused": 0,
        "dropped": {"preference": 4},
        "passed": 2,
        "kept": 2,
        "yield": 0.2857,
    }
    cost = {"calls": 30, "tokens_in": 900, "tokens_out": 70, "usd": None, "seconds": 4.0}
    report = {
        "ended_by": "calls",
        "by_label": [{"label": " Yes", **row}],
        "by_way": [{"label": " Yes", "template": "persona_says", "temperature": 0.8, **row}],
        "cost": {**cost, "per_kept_item": {name: value and value / 2 for name, value in cost.items()}},
    }
    counts = {"requested": 4, "written": 7, "unparsed": 1, "dropped": {}, "kept": {}, "acceptance": report}
    dataset, _ = publish(
        tmp_path, BEHAVIOUR, [item("I use text")], [], counts, models(tmp_path), Calls(), {}, [], [], seed=0
    )
    card = (dataset.path / "README.md").read_text()
    assert "the budget of calls was spent" in card
    assert "| ` Yes` | persona_says | 0.8 | 7 | 2 | 0.2857 | 2 | 1 | preference 4 |" in card
    assert "| for each item kept | 15.0 | 450.0 | 35.0 | unknown | 2.0 |" in card
