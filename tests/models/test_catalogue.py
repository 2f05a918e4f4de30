"""The catalogue of embedded models, its names, and the folder for weights."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.errors import ModelUnavailable
from pipeline.models import _catalogue
from pipeline.models._catalogue import FolderSource, GgufSource, HubSource
from pipeline.models._installed import catalogue, check
from pipeline.models.local import connect

LADDER = Path(__file__).parents[2] / "prompts" / "ladders" / "embedded.toml"


@pytest.fixture(autouse=True)
def models_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("MWE_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


def test_every_model_asks_the_hub_first_and_ends_with_a_pinned_source():
    for entry in _catalogue.load().values():
        assert isinstance(entry.sources[0], HubSource)
        assert isinstance(entry.sources[-1], GgufSource | FolderSource)
        assert all("==" in requirement for requirement in entry.sources[-1].requirements)


def test_sources_of_one_model_have_different_revisions():
    for entry in _catalogue.load().values():
        revisions = [source.revision for source in entry.sources]
        assert len(set(revisions)) == len(revisions)


def test_weights_of_a_folder_are_pinned_and_its_paths_stay_inside():
    for entry in _catalogue.load().values():
        for source in entry.sources:
            if isinstance(source, FolderSource):
                assert "model.safetensors" in source.files
                assert not any(".." in path or path.startswith("/") for path in source.files)


def test_parts_are_numbered_from_one_in_order():
    source = _catalogue.find("Qwen2.5-Coder-1.5B-Instruct").sources[-1]
    names = source.requirements
    assert len(names) == 22
    assert names[0].endswith("part1==0.2.0") and names[1].endswith("part2==0.2.0") and names[-1].endswith("22==0.2.0")


def test_disk_need_is_never_below_what_stays():
    for row in catalogue():
        assert row.disk_bytes > row.installed_bytes > 0
        assert not row.installed and row.revision is None


def test_the_embedded_ladder_climbs_in_published_parameters():
    names = tomllib.loads(LADDER.read_text())["models"]
    sizes = [_catalogue.find(name).parameters for name in names]
    assert len(sizes) == 3 and sizes == sorted(sizes)


@pytest.mark.parametrize("name", ["smollm2-135m-instruct", "local/SmolLM2-135M-Instruct"])
def test_case_and_the_provider_in_front_of_a_name_do_not_matter(name):
    assert _catalogue.find(name).name == "SmolLM2-135M-Instruct"


@pytest.mark.parametrize(
    ("typed", "suggestion"), [("SmolLM2-135M", "SmolLM2-135M-Instruct"), ("Qwen2.5-Codr-0.5B-Instruct", "0.5B")]
)
def test_an_unknown_name_is_answered_with_near_ones(typed, suggestion):
    with pytest.raises(ModelUnavailable, match=suggestion):
        _catalogue.find(typed)


def test_a_name_like_none_lists_all_of_them():
    with pytest.raises(ModelUnavailable, match=r"There are SmolLM2.*MiniLM"):
        _catalogue.find("\x1b[31m../../etc")


def test_a_catalogue_with_an_unknown_key_is_refused():
    with pytest.raises(ValidationError):
        _catalogue.load('[[models]]\nname = "a"\nweights = "pickle"\n')


def test_weights_go_where_the_variable_says_else_into_the_users_cache(monkeypatch, tmp_path, models_dir):
    assert _catalogue.models_folder() == models_dir
    monkeypatch.delenv("MWE_MODELS_DIR")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert _catalogue.models_folder() == tmp_path / "cache" / "mwe" / "models"


def test_info_of_a_model_that_is_not_installed_needs_no_download(models_dir):
    info = connect("Qwen2.5-Coder-0.5B-Instruct").info
    assert (info.name, info.parameters, info.family) == (
        "local/Qwen2.5-Coder-0.5B-Instruct",
        490_000_000,
        "Qwen2.5-Coder",
    )
    assert info.revision is None and info.quantisation is None
    assert not models_dir.exists()


def test_checking_what_is_not_installed_says_how_to_get_it():
    with pytest.raises(ModelUnavailable, match="mwe models pull SmolLM2-135M-Instruct"):
        check("SmolLM2-135M-Instruct")
