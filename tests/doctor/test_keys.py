"""Keys: present, from where, and whether they look like keys; never a character of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.doctor.finding import Finding
from pipeline.doctor.keys import dotenv_findings, key_findings, server_names

from .surroundings import isolate, of

SECRET = "sk-ant-api03-Zq8LmN4xTw2RyV6b"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    isolate(monkeypatch, tmp_path)
    return tmp_path / "here"


def key(variable: str = "ANTHROPIC_API_KEY", **needed: str) -> Finding:
    found = of(list(key_findings(needed)), variable)
    shown = found.model_dump_json()
    assert not any(SECRET[i : i + 4] in shown for i in range(7, len(SECRET) - 3))
    return found


def test_a_key_that_is_not_set_is_no_fault() -> None:
    assert [found.state for found in key_findings({})] == ["ok", "ok", "ok"]


def test_a_key_is_present_and_where_from_is_said(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    (here / ".env").write_text(f"export ANTHROPIC_API_KEY='{SECRET}'\n")
    assert key().detail == "present, from .env"
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    assert key().detail == "present, from the environment (the one in .env is not used)"


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("ANTHROPIC_API_KEY", f'"{SECRET}"', "stands in quotes"),
        ("ANTHROPIC_API_KEY", f"{SECRET} {SECRET}", "characters that no key has"),
        ("ANTHROPIC_API_KEY", f"{SECRET}…", "characters that no key has"),
        ("ANTHROPIC_API_KEY", "your-key-here", "a specimen"),
        ("OPENAI_API_KEY", "<paste it here>".replace(" ", "-"), "a specimen"),
        ("OPENAI_API_KEY", "sk-...", "a specimen"),
        ("ANTHROPIC_API_KEY", "sk-proj-abcdefghijkl", "does not start with sk-ant-"),
        ("OPENAI_API_KEY", SECRET, "looks like one for ANTHROPIC_API_KEY"),
        ("HF_TOKEN", "api_abcdefghijklmnop", "does not start with hf_"),
    ],
)
def test_what_is_no_key_at_sight_is_said(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str) -> None:
    monkeypatch.setenv(variable, value)
    assert key(variable).state == "warn"
    assert says in key(variable).detail
    assert key(variable, **{variable: "a default"}).state == "broken"


def test_the_key_of_another_server_may_look_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "anything-will-do")
    assert key("OPENAI_API_KEY").state == "ok"


def test_every_named_server_has_a_key_to_look_for(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    (here / ".env").write_text("MY_BOX_BASE_URL=http://127.0.0.1:9/v1\nMY_BOX_API_KEY=EMPTY\nOTHER_BASE_URL=\n")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert server_names() == ["MY_BOX"]
    assert key("MY_BOX_API_KEY").detail == "present, from .env"


def test_the_hubs_own_login_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub/token").write_text("hf_x")
    assert "there by the hub's own login" in key("HF_TOKEN").detail


def test_lines_of_the_env_file_that_set_nothing_are_named_by_number_alone(here: Path) -> None:
    assert list(dotenv_findings()) == []
    (here / ".env").write_text(f"# keys\n\nGOOD=1 # note\nBAD {SECRET}\n{SECRET}\nALSO BAD=x\nQUOTED='{SECRET}\n")
    (found,) = dotenv_findings()
    assert found.state == "warn" and found.detail.endswith("passed over lines 4, 5, 6, 7")
    assert SECRET[:8] not in found.model_dump_json()
    (here / ".env").write_text('\ufeffGOOD=1\nexport ALSO_GOOD = "a b"\n')
    assert [found.state for found in dotenv_findings()] == ["ok"]


def test_an_env_file_that_is_no_text_or_no_file_is_looked_at(here: Path) -> None:
    (here / ".env").write_bytes(b"\xff\xfe\x00")
    assert [(found.state, found.detail) for found in dotenv_findings()] == [
        ("warn", "cannot be read: it is not UTF-8 text")
    ]
    (here / ".env").unlink()
    (here / ".env").mkdir()
    assert [found.state for found in dotenv_findings()] == ["warn"]
