"""`mwe doctor`: everything that a run needs, looked at in a few seconds, with what to do where it is not right.

The network is asked first, in threads, and waited for last. Nothing heavy is imported, and nothing is changed.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator

from pipeline.doctor import defaults, keys, machine, software
from pipeline.doctor.asking import Asked
from pipeline.doctor.defaults import Source, Surroundings
from pipeline.doctor.finding import Finding, looked
from pipeline.doctor.servers import Listing, ask, server_of, servers
from pipeline.doctor.servers import findings as server_findings
from pipeline.settings import Settings, read_settings, settings_file

_SETTINGS = "settings"
_VARIABLES = [
    *(f"MWE_{name.upper()}" for name in Settings.model_fields),
    "MWE_CACHE_DIR",
    "MWE_MODELS_DIR",
    "MWE_DEVICE",
    "MWE_DTYPE",
]


def examine(offline: bool = False) -> list[Finding]:
    """Every finding, in the order in which they are best read. `offline` asks no server anything."""
    settings, of_settings = _settings()
    roles = defaults.roles(settings)
    ladder = defaults.ladder(settings)
    models = list(dict.fromkeys([*roles.values(), *ladder]))
    asked = None if offline else _Questions(models)
    found = [*_of_machine(settings, list(dict.fromkeys(roles.values())), models), *of_settings]
    around = asked.answers() if asked else Surroundings(servers=tuple(servers(models)))
    found += looked("defaults", lambda: defaults.role_findings(settings, around), "Correct the settings.")
    found += looked("servers", lambda: _of_servers(around, roles, offline), "Correct the variables.")
    return found


def _settings() -> tuple[Settings, list[Finding]]:
    """The settings in force, or the built-in ones where they cannot be read."""
    read: list[Settings] = []

    def look() -> Iterator[Finding]:
        read.append(read_settings())
        path = settings_file()
        source = str(path.absolute()) if path else "no mwe.toml, so the built-in defaults"
        overriding = [name for name in _VARIABLES[: len(Settings.model_fields)] if os.environ.get(name)]
        yield Finding(subject=_SETTINGS, state="ok", detail=" and ".join([source, *overriding]))

    found = list(looked(_SETTINGS, look, "Correct it, or remove it; what follows is for the built-in defaults."))
    return (read or [Settings()])[0], [*found, *_misspelt()]


def _misspelt() -> Iterator[Finding]:
    for name in sorted(os.environ):
        near = difflib.get_close_matches(name, _VARIABLES, n=1, cutoff=0.8)
        if name.startswith("MWE_") and name not in _VARIABLES and near:
            yield Finding(subject=name, state="warn", detail="is set and unknown", advice=f"Did you mean {near[0]}?")


def _of_machine(settings: Settings, needed: list[str], models: list[str]) -> Iterator[Finding]:
    """What is known without asking anybody. `needed` are the models of the defaults, `models` also the ladder's."""
    yield from looked("Python", software.python, "Install mwe anew.")
    yield from looked("packages", software.core, "Install mwe anew.")
    is_wanted = any(map(defaults.is_local, needed))
    yield from looked("extra [local]", lambda: software.local(is_wanted), "Install mwe anew.")
    yield from looked("device", software.device, "Correct MWE_DEVICE or MWE_DTYPE.")
    yield from looked("terminal", software.terminal, "Set PYTHONUTF8=1.")
    yield from looked("memory", lambda: machine.memory(needed), "Correct MWE_DEVICE or MWE_DTYPE.")
    yield from looked("disk", lambda: machine.disk(models), "Set MWE_CACHE_DIR and MWE_MODELS_DIR.")
    yield from looked("folders", lambda: machine.folders(settings), "Set MWE_MODELS_DIR to another folder.")
    yield from looked("call store", machine.call_store, "Set MWE_CACHE_DIR to another folder.")
    yield from looked("catalogue", lambda: defaults.catalogue_findings(models), "Set MWE_MODELS_DIR.")
    yield from keys.dotenv_findings()
    yield from looked("keys", lambda: keys.key_findings(key_variables(needed)), "Correct .env.")


def key_variables(models: list[str]) -> dict[str, str]:
    """The variable of the key that each model behind an API needs -> that model."""
    among = servers(models)
    named = ((server_of(model, among), model) for model in models)
    return {server.key_variable: model for server, model in named if server}


class _Questions:
    """Everything that is asked of the network, on its way."""

    def __init__(self, models: list[str]) -> None:
        self._servers = tuple(servers(models))
        own = {server.label: [m for m in models if server_of(m, [server])] for server in self._servers}
        self._hub = defaults.ask_hub()
        self._index = defaults.ask_index(models)
        self._listings: dict[str, Asked[Listing] | None] = {
            server.label: ask(server, [defaults.own_name(model) for model in own[server.label]])
            for server in self._servers
        }

    def answers(self) -> Surroundings:
        """Waits for what is still out."""
        listings = {label: asked.result() for label, asked in self._listings.items() if asked}
        silent = Source(False, "The model hub does not answer.")
        return Surroundings(
            hub=(self._hub.result() or silent) if self._hub else None,
            index=(self._index.result() or Source(False, "pip had no answer")) if self._index else None,
            listings=listings,
            servers=self._servers,
        )


def _of_servers(around: Surroundings, roles: dict[str, str], offline: bool) -> Iterator[Finding]:
    if around.hub and around.hub.is_there:
        yield Finding(subject="model hub", state="ok", detail="answers")
    elif around.hub:
        advice = "Only hf/ models that are not on this machine need it; check proxy and network."
        yield Finding(subject="model hub", state="warn", detail=around.hub.fault, advice=advice)
    for server in around.servers:
        needed = {model: role for role, model in roles.items() if server_of(model, [server])}
        if offline and not server.fault:
            yield Finding(subject=server.label, state="ok", detail="was not asked")
        else:
            yield from server_findings(server, around.listings.get(server.label), needed)
