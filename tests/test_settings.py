"""How fast each server may be asked: the file, the variable, the flag, and what arrives at the provider."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.connections import Connections
from pipeline.errors import UsageError
from pipeline.models._api import ApiProvider
from pipeline.ports import SilentProgress
from pipeline.settings import Limits, read_settings

FILE = """
max_connections = 40
requests_per_minute = 500
[limits."openai/gpt-4.1-mini"]
tokens_per_minute = 90_000
[limits."openai-api/*"]
max_connections = 7
requests_per_minute = 60
"""


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("MWE_CACHE_DIR", str(tmp_path / "calls"))
    monkeypatch.setenv("BOX_BASE_URL", "http://127.0.0.1:9/v1")
    for name in ("MWE_MAX_CONNECTIONS", "MWE_REQUESTS_PER_MINUTE", "MWE_TOKENS_PER_MINUTE"):
        monkeypatch.delenv(name, raising=False)


def test_a_models_own_limits_come_before_those_of_a_pattern_and_these_before_the_general_ones() -> None:
    Path("mwe.toml").write_text(FILE)
    settings = read_settings()
    assert settings.limits_of("anthropic/m") == Limits(max_connections=40, requests_per_minute=500)
    assert settings.limits_of("openai/gpt-4.1-mini") == Limits(
        max_connections=40, requests_per_minute=500, tokens_per_minute=90_000
    )
    assert settings.limits_of("openai-api/box/m") == Limits(max_connections=7, requests_per_minute=60)
    assert settings.limits_of("openai-api/box/m", max_connections=3).max_connections == 3


def test_the_variable_overrides_the_general_limit_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mwe.toml").write_text(FILE)
    monkeypatch.setenv("MWE_MAX_CONNECTIONS", "12")
    assert read_settings().limits_of("anthropic/m").max_connections == 12


@pytest.mark.parametrize(
    "wrong", ["max_connections = 0", "requests_per_minute = -1", '[limits."a/b"]\nper_minute = 3', "limits = 3"]
)
def test_a_limit_that_is_none_is_wrong_use_and_names_the_file(wrong: str) -> None:
    Path("mwe.toml").write_text(wrong)
    with pytest.raises(UsageError, match=r"mwe\.toml"):
        read_settings()


def test_limits_arrive_at_the_provider_and_models_that_run_here_need_none() -> None:
    Path("mwe.toml").write_text(FILE)
    connections = Connections(SilentProgress(), read_settings())
    provider = connections.model("openai-api/box/m").provider
    assert isinstance(provider, ApiProvider)
    policy = provider.policy
    assert (policy.concurrency, policy.requests_per_minute, policy.tokens_per_minute) == (7, 60, None)
    flagged = Connections(SilentProgress(), read_settings(), max_connections=2).model("openai-api/box/m").provider
    assert isinstance(flagged, ApiProvider) and flagged.policy.concurrency == 2
    connections.model("fake/8b")
