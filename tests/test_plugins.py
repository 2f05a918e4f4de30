"""The file name is the registry, and every plug-in fits its port."""

from __future__ import annotations

import pytest

from pipeline import plugins, prompts
from pipeline.errors import UsageError
from pipeline.ports import Screening
from pipeline.schema import Behaviour

BEHAVIOUR = Behaviour(name="trains", description="a person who likes trains")


@pytest.mark.parametrize("name", plugins.names("filters"))
def test_every_filter_bears_its_files_name_and_judges_nothing_into_nothing(name: str) -> None:
    made = plugins.load("filters", name).make()
    assert made.name == name
    assert made.version >= 1
    assert made.judge([], Screening(BEHAVIOUR, None, None)) == []


@pytest.mark.parametrize("name", plugins.names("filters"))
def test_no_filter_takes_an_option_it_does_not_know(name: str) -> None:
    with pytest.raises(TypeError):
        plugins.load("filters", name).make(no_such_option=1)


@pytest.mark.parametrize("name", plugins.names("probes"))
def test_every_probe_bears_its_files_name_and_asks_with_templates_that_there_are(name: str) -> None:
    made = plugins.load("probes", name).make()
    assert made.name == name
    assert made.version >= 1
    assert set(made.templates) <= set(prompts.template_names())


@pytest.mark.parametrize("name", plugins.names("models"))
def test_every_provider_can_connect(name: str) -> None:
    assert callable(plugins.load("models", name).connect)


@pytest.mark.parametrize("name", plugins.names("formats"))
def test_every_format_has_a_template_and_a_side_for_each_label(name: str) -> None:
    form = plugins.load("formats", name)
    assert set(form.TEMPLATES) == set(form.SIDES) == set(form.LABELS)
    assert form.parse("", form.LABELS[0], BEHAVIOUR) is None


@pytest.mark.parametrize("name", ["absent", "_api", "../x", "", "os", "Preference"])
def test_a_name_that_is_no_plug_in_is_wrong_use_and_names_those_there_are(name: str) -> None:
    with pytest.raises(UsageError, match="there are"):
        plugins.load("models", name)


def test_a_provider_with_a_dash_is_found_by_its_name_on_the_command_line() -> None:
    assert plugins.load("models", "openai-api") is plugins.load("models", "openai_api")
    assert "openai-api" in plugins.names("models")
