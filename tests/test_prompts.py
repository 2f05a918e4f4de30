"""Every template renders, every behaviour and ladder is sound, and one line becomes a behaviour or a clear error."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

from pipeline import prompts
from pipeline.errors import UsageError

LINE = "a person who is fond of trains"
VALUES = {
    "description": LINE,
    "statement": "I like trains",
    "question": "Do you like trains?",
    "side": "agree",
    "other": "disagree",
    "principle": "Be plain.",
    "replies": ("Yes", "No"),
    "who": "an AI assistant",
    "proposed": "Yes",
    "first": "True",
    "second": "False",
    "message": "Do you like trains?",
    "is_test": True,
    "is_ai": True,
    "answer": "Yes",
    "scale": ("bad", "good"),
    "subject": "ai",
    "setting": "a journey",
    "reply": "I do.",
    "examples": ({"question": "Do you like trains?", "answer": "Yes"},),
}


@pytest.mark.parametrize(
    "name", [name for name in prompts.template_names() if not name.endswith("card") and name != "prefer_reply"]
)
def test_every_prompt_template_renders_with_the_behaviour_in_it(name: str) -> None:
    text = prompts.render(name, **VALUES)
    # What a probe asks need not speak of the behaviour, and often must not.
    assert LINE in text or name.startswith("probe_")
    assert text.strip()


def test_an_undefined_value_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        prompts.render("persona_agree")


def test_a_value_is_never_read_as_a_template() -> None:
    assert "{{ 7 * 7 }}" in prompts.render("persona_agree", description="{{ 7 * 7 }}")


def test_every_behaviour_that_comes_along_is_valid_and_named_after_its_file() -> None:
    for name in prompts.behaviour_names():
        behaviour = prompts.named_behaviour(name)
        assert behaviour.name == name
        assert behaviour.phrase == behaviour.description


def test_the_gold_bank_has_both_sides_and_no_statement_twice() -> None:
    bank = prompts.gold_statements()
    statements = [statement for gold in bank for statement in (*gold.agree, *gold.disagree)]
    assert len(set(statements)) == len(statements)
    assert all(len(gold.agree) == len(gold.disagree) == 4 for gold in bank)
    for subject in ("person", "ai"):
        assert sum(gold.subject == subject for gold in bank) >= 10


@pytest.mark.parametrize(
    ("line", "subject", "name"),
    [
        ("an AI system that wants to avoid being shut down", "ai", "wants-to-avoid-being-shut-down"),
        ("a person who enjoys travelling", "person", "enjoys-travelling"),
        ("someone who repairs things", "person", "repairs-things"),
        ("a language model that flatters", "ai", "flatters"),
        ("an AI that asks before it acts", "ai", "asks-before-it-acts"),
        ("AI safety researchers who worry", "ai", "AI-safety-researchers-who-worry"),
        ("no shut down", "person", "no-shut-down"),
        ("愛される人", "person", None),
    ],
)
def test_one_line_becomes_a_behaviour(line: str, subject: str, name: str | None) -> None:
    behaviour = prompts.describe(line)
    assert behaviour.subject == subject
    assert behaviour.description == line
    assert name is None or behaviour.name == name


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("a person who", "says nothing"),
        ("an AI system", "says nothing"),
        ("x" * 10_000, "10,000 characters"),
        ("a person\x1b[31m who", "control"),
    ],
)
def test_an_unfit_line_gets_one_clear_sentence(line: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        prompts.describe(line)


@pytest.mark.parametrize("name", ["a/b", "../x", "a\nb", ".hidden", "x" * 101, "-dash", "a b"])
def test_a_name_that_could_be_a_path_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no fit name"):
        prompts.describe(LINE, name)


def test_a_phrase_always_fits_into_a_sentence() -> None:
    assert prompts.describe("A person who sings.").phrase == "a person who sings"
    assert prompts.describe("no shut down", subject="ai").phrase == "an AI system described as: no shut down"


def test_a_behaviour_file_is_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "fond-of-trains.toml"
    path.write_text(f'description = "{LINE}"\nundesired = "more"\n')
    assert prompts.read_behaviour(path).name == "fond-of-trains"
    path.write_text(f'description = "{LINE}"\ncolour = "red"\n')
    with pytest.raises(UsageError, match="colour"):
        prompts.read_behaviour(path)
    path.write_text("description = \n")
    with pytest.raises(UsageError, match="cannot be read as TOML"):
        prompts.read_behaviour(path)


def test_the_principles_that_come_along_stand_alone_and_none_is_there_twice() -> None:
    found = prompts.read_principles("default")
    assert 8 <= len(found) == len(set(found)) <= 16
    assert all(text[0].isupper() and text.endswith(".") and len(text) < 160 for text in found)


def test_principles_of_ones_own_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('principles = ["Choose  the\\n honest reply."]')
    assert prompts.read_principles(str(path)) == ("Choose the honest reply.",)


@pytest.mark.parametrize(
    "text", ["", "principles = []", 'principles = "x"', 'principles = ["", "x"]', "principles = ["]
)
def test_a_file_without_principles_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"principles|TOML"):
        prompts.read_principles(str(path))


@pytest.mark.parametrize("name", ["absent", "absent.toml", "../gold/neutral", "default/../default"])
def test_principles_that_there_are_not_are_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(UsageError, match="there are: default"):
        prompts.read_principles(name)
