"""Prices: from the table by server and model, from the user before that, and unknown where neither says."""

from __future__ import annotations

import pytest

from pipeline.errors import UsageError
from pipeline.prices import FREE, OwnPrice, price_of, read_price, table

ANTHROPIC = {"base_url": "https://api.anthropic.com", "model": "claude-haiku-4-5"}
OPENAI = {"base_url": "https://api.openai.com/v1", "model": "gpt-4.1-mini"}


def test_a_listed_model_costs_what_the_table_says_and_the_table_is_dated() -> None:
    price = price_of("anthropic/claude-haiku-4-5", ANTHROPIC)
    assert price is not None
    assert (price.input, price.output) == (1.0, 5.0)
    assert price.cost(2_000_000, 100_000) == pytest.approx(2.5)
    assert price.source == table()
    assert "genai-prices" in price.source and "20" in price.source.rpartition(" ")[2]


@pytest.mark.parametrize(
    ("name", "identity"), [("anthropic/claude-haiku-4-5", ANTHROPIC), ("openai/gpt-4.1-mini", OPENAI)]
)
def test_the_batch_price_is_half_of_the_live_one(name: str, identity: dict[str, str]) -> None:
    price = price_of(name, identity)
    assert price is not None
    assert price.batch_share == pytest.approx(0.5)


def test_a_long_prompt_tier_is_not_taken_for_the_usual_price() -> None:
    price = price_of("anthropic/claude-sonnet-4-5", {**ANTHROPIC, "model": "claude-sonnet-4-5"})
    assert price is not None
    assert price.input == pytest.approx(3.0)


@pytest.mark.parametrize(
    "identity",
    [
        {**OPENAI, "base_url": "http://127.0.0.1:8000/v1"},
        {**OPENAI, "model": "a-model-that-nobody-sells"},
        {},
    ],
)
def test_another_server_or_an_unlisted_model_has_no_known_price(identity: dict[str, str]) -> None:
    assert price_of("openai/gpt-4.1-mini", identity) is None


def test_a_compatible_server_that_is_listed_is_found_by_its_address() -> None:
    identity = {"base_url": "https://openrouter.ai/api/v1", "model": "qwen/qwen3-8b"}
    price = price_of("openai-api/openrouter/qwen/qwen3-8b", identity)
    assert price is not None
    assert 0 < price.input < price.output < 10


def test_your_own_price_comes_first_and_a_pattern_stands_for_many_names() -> None:
    own = {"openai/*": OwnPrice(input=9, output=9), "openai/gpt-4.1-mini": OwnPrice(input=0.5, output=0)}
    exact, other = (price_of(name, OPENAI, own) for name in ("openai/gpt-4.1-mini", "openai/else"))
    assert exact is not None and other is not None
    assert (exact.input, other.input) == (0.5, 9)


@pytest.mark.parametrize("name", ["local/x", "hf/a/b", "fake/8b"])
def test_what_runs_here_is_free(name: str) -> None:
    assert price_of(name, {}) == FREE


def test_a_price_on_the_command_line_is_read_and_anything_else_is_named() -> None:
    assert read_price("openai-api/vllm/org/m=.1,2.5") == ("openai-api/vllm/org/m", OwnPrice(input=0.1, output=2.5))
    for wrong in ("x", "a/b=1", "a/b=1,-2", "a/b=1,x", "=1,2", "a b/c=1,2"):
        with pytest.raises(UsageError, match="no price"):
            read_price(wrong)
