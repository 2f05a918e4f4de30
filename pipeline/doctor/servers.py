"""The servers that environment and `.env` name: whether they answer, take the key, and know the models.

Each is asked for its list of models, by the SDK and with the headers of a run; that costs nothing.
No server is asked that has neither been named nor been given a key.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from pipeline import plugins
from pipeline.doctor.asking import SECONDS, Asked
from pipeline.doctor.finding import Finding, State
from pipeline.doctor.keys import fault_of, server_names
from pipeline.errors import PipelineError
from pipeline.models._api import ApiProvider, public_url, setting
from pipeline.models._faults import as_call_error, scrub

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SHOWN = 3


@dataclass(frozen=True)
class Server:
    """One server and what stands in the way of asking it, if anything does."""

    label: str
    """What comes before the model in a name: `anthropic`, `openai`, `openai-api/NAME`."""
    url_variable: str
    key_variable: str
    provider: ApiProvider | None = None
    key: str | None = field(default=None, repr=False)
    fault: str | None = None

    @property
    def is_official(self) -> bool:
        """Whether it is Anthropic's or OpenAI's own address."""
        return self.label in {"anthropic", "openai"} and not setting(self.url_variable)


@dataclass(frozen=True)
class Listing:
    """What a server said when it was asked for its models."""

    status: int | None
    """None where no answer came."""
    said: str
    """Its words where it is no list, without keys."""
    models: tuple[str, ...] | None = None
    unknown: frozenset[str] = frozenset()
    """Those asked after by name which neither the list nor the server knows."""
    is_public: bool = False
    """The list is given to whoever asks, so that it says nothing of the key."""


def servers(wanted: Sequence[str]) -> list[Server]:
    """Every server that a base URL, a key, or a model in `wanted` names."""
    found = [
        _server(name, f"{name.upper()}_BASE_URL", f"{name.upper()}_API_KEY", name, "any")
        for name in ("anthropic", "openai")
        if setting(f"{name.upper()}_BASE_URL")
        or setting(f"{name.upper()}_API_KEY")
        or any(model.startswith(f"{name}/") for model in wanted)
    ]
    for name in server_names():
        label = f"openai-api/{name.lower()}"
        found.append(_server(label, f"{name}_BASE_URL", f"{name}_API_KEY", "openai-api", f"{name.lower()}/any"))
    return found


def server_of(model: str, among: Sequence[Server]) -> Server | None:
    """The server that a model's name leads to."""
    provider, _, rest = model.partition("/")
    label = f"openai-api/{rest.partition('/')[0].lower().replace('-', '_')}" if provider == "openai-api" else provider
    return next((server for server in among if server.label == label), None)


def _server(label: str, url_variable: str, key_variable: str, plugin: str, name: str) -> Server:
    try:
        provider = plugins.load("models", plugin).connect(name)
    except PipelineError as error:
        return Server(label, url_variable, key_variable, fault=str(error))
    key = setting(key_variable)
    is_near = urlsplit(provider.base_url).hostname in _LOOPBACK
    if key is None and not is_near:
        return Server(
            label, url_variable, key_variable, provider, fault=f"was not asked, since {key_variable} is not set"
        )
    if key is not None and (fault := fault_of(key_variable, key)):
        return Server(label, url_variable, key_variable, provider, fault=f"was not asked, since {key_variable} {fault}")
    return Server(label, url_variable, key_variable, provider, key)


def ask(server: Server, models: Sequence[str]) -> Asked[Listing] | None:
    """Ask for the list, and after each of `models` (as the server names them) that is not in it."""
    provider, key = server.provider, server.key
    if provider is None or server.fault:
        return None
    # Imported here: the time that a server has is its own.
    importlib.import_module("anthropic" if server.label == "anthropic" else "openai")
    return Asked(lambda: asyncio.run(_ask(provider, key, models)), 2 * SECONDS)


async def _ask(provider: ApiProvider, key: str | None, models: Sequence[str]) -> Listing:
    secrets = provider.secrets(key or "")
    sdk, client = provider.open_client(key or "none")
    path = "/v1/models" if provider.name.startswith("anthropic/") else "/models"

    async def get(path: str, **headers: Any) -> Listing:
        options = {"timeout": SECONDS, "max_retries": 0, "follow_redirects": False, "headers": headers}
        try:
            text = await client.get(path, cast_to=str, options=options)
        except sdk.APIError as error:
            fault = as_call_error(error)
            return Listing(fault.status, scrub(fault.message, secrets))
        listed = _names(text)
        return Listing(200, "" if listed is not None else scrub(str(text)[:80], secrets), listed)

    try:
        listing = await get(f"{path}?limit=1000" if path == "/v1/models" else path)
        if listing.models is None:
            return listing
        absent = [model for model in models if model not in listing.models]
        unknown = [model for model in absent if (await get(f"{path}/{quote(model, safe='')}")).status != 200]
        is_public = key is not None and (await get(path, **{"Authorization": sdk.Omit()})).models is not None
        return Listing(200, "", listing.models, frozenset(unknown), is_public)
    finally:
        await client.close()


def _names(text: Any) -> tuple[str, ...] | None:
    """The names in a list of models as both protocols send it; None where it is none."""
    try:
        rows = json.loads(text)["data"]
        return tuple(str(row["id"]) for row in rows or [])
    except (ValueError, TypeError, KeyError):
        return None


def findings(server: Server, listing: Listing | None, needed: Mapping[str, str]) -> Iterator[Finding]:
    """What a server is worth. `needed` maps its models that defaults need to the names of those defaults."""
    bad: State = "broken" if needed else "warn"
    if server.provider is None or server.fault:
        advice = f"Set {server.key_variable} to its key." if server.provider else f"Correct {server.url_variable}."
        yield Finding(subject=server.label, state=bad, detail=server.fault or "", advice=advice)
        return
    url = public_url(server.provider.base_url)
    if listing is None:
        listing = Listing(None, f"no answer in {SECONDS:g} seconds")
    detail, advice = _trouble(server, listing)
    if detail:
        # A server that is busy or has no list, and a key that may not read it, may well do their work.
        state = bad if listing.status in {None, 401} else "warn"
        yield Finding(subject=server.label, state=state, detail=f"{url} {detail}", advice=advice)
        return
    names = listing.models or ()
    key = (
        ""
        if server.key is None
        else "; whether the key is good shows only in a run"
        if listing.is_public
        else ", takes the key"
    )
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    yield Finding(subject=server.label, state="ok", detail=f"{url} answers{key}; {len(names)} models: {shown}")


def _trouble(server: Server, listing: Listing) -> tuple[str, str]:
    """What is wrong with a server's answer and what to do; empty texts where nothing is."""
    status, said = listing.status, f" ({listing.said})" if listing.said else ""
    if status is None:
        return f"does not answer{said}", f"Start the server, or correct {server.url_variable}; check proxy and network."
    if status == 401:
        return f"does not take the key{said}", f"Set {server.key_variable} to a key of this server."
    if status == 403:
        return f"refuses its list of models{said}", f"Check what the key in {server.key_variable} may do."
    if status == 429 or status >= 500:
        return f"answers {status}{said}", "The server is there but busy or broken; try again later."
    if status != 200 or listing.models is None:
        ending = "without /v1" if server.label == "anthropic" else "ending in /v1 for most servers"
        return (
            f"gives no list of models (status {status}){said}",
            f"Check the path in {server.url_variable}, {ending}; a server may also do without such a list.",
        )
    return "", ""
