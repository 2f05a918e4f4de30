"""Names become objects as the settings want them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.ports import SilentProgress
from pipeline.settings import Settings, read_settings
from pipeline.wiring import Connections


def test_the_number_of_draws_of_a_choice_comes_from_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("MWE_CACHE_DIR", str(tmp_path / "calls"))
    (tmp_path / "mwe.toml").write_text("samples = 9\n")
    for name in ("anthropic/claude-haiku-4-5", "openai/gpt-4.1"):
        model = Connections(SilentProgress(), read_settings()).model(name)
        assert model.provider.identity()["k"] == 9
    monkeypatch.setenv("MWE_SAMPLES", "11")
    assert read_settings().samples == 11
    monkeypatch.setenv("MWE_SAMPLES", "0")
    with pytest.raises(UsageError, match="samples"):
        read_settings()
    assert Connections(SilentProgress(), Settings()).model("fake/8b").provider.identity() is not None
