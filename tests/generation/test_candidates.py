"""The first round asks in turn; later ones in the ways that count, the same for the same verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pipeline import plugins, prompts
from pipeline.generation.candidates import BLOCK, Candidates, Way
from pipeline.generation.recipe import Recipe

BEHAVIOUR = prompts.describe("a person who is fond of trains")
FORM = plugins.load("formats", "yes_no")
LABEL = " No"


def candidates(**recipe: float) -> Candidates:
    return Candidates(BEHAVIOUR, FORM, Recipe(seed=7, **{"spread": 0.2, **recipe}))  # type: ignore[arg-type]


def ways_of_blocks(made: Candidates, blocks: int, counted: Mapping[Way, int], written: Mapping[Way, int]) -> list[Way]:
    asked = made.next({LABEL: blocks * BLOCK}, counted, written)
    return [candidate.way for candidate in asked[::BLOCK]]


def test_the_first_round_takes_the_templates_in_turn_at_the_recipes_temperature() -> None:
    ways = ways_of_blocks(candidates(), 6, {}, {})
    assert [way.template for way in ways] == [*FORM.TEMPLATES[LABEL]] * 2
    assert {way.temperature for way in ways} == {0.8}


def test_a_template_that_passes_more_often_is_asked_more_often_afterwards() -> None:
    first, *others = FORM.TEMPLATES[LABEL]
    written = {Way(LABEL, template, 0.8): 64 for template in (first, *others)}
    ways = ways_of_blocks(candidates(), 20, {Way(LABEL, first, 0.8): 40}, written)
    assert Counter(way.template for way in ways)[first] == 20
    assert {way.temperature for way in ways} == {0.6, 0.8, 1.0}, "temperatures that were never tried are tried"


def test_what_passed_for_the_other_label_or_by_revision_says_nothing_of_the_ways() -> None:
    own = {Way(LABEL, template, 0.8): 16 for template in FORM.TEMPLATES[LABEL]}
    foreign = {Way(" Yes", "persona_says", 1.0): 500, Way(LABEL, "revise_rewrite", 1.0): 500}
    plain = ways_of_blocks(candidates(), 20, {}, own)
    assert ways_of_blocks(candidates(), 20, foreign, {**own, **foreign}) == plain


def test_without_a_spread_only_the_templates_vary() -> None:
    written = {Way(LABEL, template, 0.8): 16 for template in FORM.TEMPLATES[LABEL]}
    assert {way.temperature for way in ways_of_blocks(candidates(spread=0.0), 20, {}, written)} == {0.8}


def test_a_block_that_two_rounds_share_is_asked_in_one_way_and_no_candidate_twice() -> None:
    made = candidates()
    first = made.next({LABEL: 8}, {}, {})
    written = {Way(LABEL, template, 0.8): 900 for template in FORM.TEMPLATES[LABEL][1:]}
    rest = made.next({LABEL: 8}, dict(written), written)
    assert {candidate.way for candidate in first} == {candidate.way for candidate in rest}
    assert [candidate.index for candidate in (*first, *rest)] == list(range(BLOCK))
    requests = [candidate.request for candidate in (*first, *rest)]
    assert len(set(requests)) == BLOCK
    assert len({request.messages for request in requests}) == 1


def test_the_same_seed_and_verdicts_give_the_same_requests() -> None:
    written = {Way(LABEL, template, 0.8): 16 for template in FORM.TEMPLATES[LABEL]}
    one, two = (candidates().next({LABEL: 64}, {}, written) for _ in range(2))
    assert one == two


def test_the_contrast_of_guided_decoding_asks_for_the_other_label_with_the_same_examples() -> None:
    (one, *_) = candidates(guidance=0.5).next({LABEL: 1}, {}, {})
    assert one.request.contrast is not None
    texts = [message.content for message in one.request.contrast]
    assert texts[-2] == prompts.render(FORM.TEMPLATES[" Yes"][0], description=BEHAVIOUR.phrase)
