"""Servers on loopback: silent, refusing, busy, of another kind, and in order; keys are sent and never shown."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pipeline.doctor import asking, servers
from pipeline.doctor.asking import Asked
from pipeline.doctor.finding import Finding

from ..models.loopback import Call, Step, error, listing, serving
from .surroundings import isolate, of

KEY = "token-Zq8LmN4xTw2RyV6b"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


def look(*wanted: str, needed: bool = False) -> list[Finding]:
    """Findings on all servers that are configured."""
    found = []
    for server in servers.servers(wanted):
        own = [model for model in wanted if servers.server_of(model, [server])]
        asked = servers.ask(server, [model.rpartition("/")[2] for model in own])
        roles = dict.fromkeys(own, "judge") if needed else {}
        found += servers.findings(server, asked.result() if asked else None, roles)
    assert KEY[6:] not in "".join(finding.model_dump_json() for finding in found)
    return found


def box(monkeypatch: pytest.MonkeyPatch, url: str, key: str = KEY) -> None:
    monkeypatch.setenv("BOX_BASE_URL", f"{url}/v1")
    monkeypatch.setenv("BOX_API_KEY", key)


def guarded(call: Call, number: int) -> Step:
    """Lists its models to who has the key."""
    sent = (call.headers.get("authorization"), call.headers.get("x-api-key"))
    return listing("small", "large") if {f"Bearer {KEY}", KEY} & set(sent) else error(401, f"bad key {sent}")


def test_nobody_is_asked_where_nothing_is_configured() -> None:
    assert servers.servers(["local/a", "fake/b"]) == []


def test_servers_of_all_protocols_list_their_models_and_take_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(guarded) as server:
        box(monkeypatch, server.url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        found = look()
        paths = {call.path for call in server.calls}
    assert [(each.subject, each.state) for each in found] == [
        ("anthropic", "ok"),
        ("openai", "ok"),
        ("openai-api/box", "ok"),
    ]
    assert all("takes the key; 2 models: small, large" in each.detail for each in found)
    assert paths == {"/v1/models?limit=1000", "/v1/models"}


def test_a_list_that_is_given_to_whoever_asks_says_nothing_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda call, number: listing("small")) as server:
        box(monkeypatch, server.url)
        assert "whether the key is good shows only in a run" in of(look(), "openai-api/box").detail
        assert "authorization" not in server.calls[-1].headers


@pytest.mark.parametrize(
    ("step", "state", "says"),
    [
        (error(401, f"Incorrect key {KEY}"), "broken", "does not take the key"),
        (error(403, "missing scope: model.read"), "warn", "refuses its list of models (missing scope: model.read)"),
        (error(429, "slow down"), "warn", "answers 429"),
        (error(503, "loading"), "warn", "answers 503 (loading)"),
        (error(404, "no route"), "warn", "gives no list of models (status 404)"),
        (Step("<html>Welcome</html>"), "warn", "gives no list of models (status 200) (<html>Welcome</html>)"),
        (Step({"models": []}), "warn", "gives no list of models"),
        (Step("", 307, {"location": "http://127.0.0.1:9/"}), "warn", "gives no list of models (status 307)"),
        (Step(fault="drop"), "broken", "does not answer"),
        (Step({}, fault="half"), "broken", "does not answer"),
    ],
    ids=["401", "403", "429", "503", "404", "html", "other", "redirect", "drop", "half"],
)
def test_each_way_to_fail_is_told_apart_and_breaks_only_the_defaults_that_need_it(
    monkeypatch: pytest.MonkeyPatch, step: Step, state: str, says: str
) -> None:
    with serving(lambda call, number: step) as server:
        box(monkeypatch, server.url)
        found = of(look("openai-api/box/small", needed=True), "openai-api/box")
        assert says in found.detail and found.state == state and found.advice
        assert of(look(), "openai-api/box").state == "warn"


def test_a_server_that_hangs_costs_no_more_than_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "SECONDS", 0.3)
    with serving(lambda call, number: Step(fault="hang")) as server:
        for name in ("BOX", "BAY"):
            monkeypatch.setenv(f"{name}_BASE_URL", server.url)
        importing = servers.ask(servers.servers([])[0], [])
        assert importing and importing.result()
        start = time.monotonic()
        asked = [servers.ask(each, []) for each in servers.servers([])]
        listings = [each.result() for each in asked if each]
        assert time.monotonic() - start < 5
    assert [each.status for each in listings if each] == [None, None]


def test_work_that_never_ends_is_not_waited_for() -> None:
    def forever() -> int:
        time.sleep(30)
        return 1

    assert Asked(forever, seconds=-asking.SECONDS).result() is None


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"BOX_BASE_URL": "localhost:8000"}, "BOX_BASE_URL is no URL"),
        ({"BOX_BASE_URL": "https://box.example/v1"}, "was not asked, since BOX_API_KEY is not set"),
        ({"BOX_BASE_URL": "https://box.example/v1", "BOX_API_KEY": "'x'"}, "BOX_API_KEY stands in quotes"),
        ({"BOX_BASE_URL": "http://127.0.0.1:9/v1", "BOX_API": "responses"}, "chat or completions is expected"),
    ],
)
def test_a_server_that_cannot_be_asked_is_said_and_not_asked(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], says: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = of(look(), "openai-api/box")
    assert says in found.detail and found.state == "warn" and found.advice
    assert of(look("openai-api/box/small", needed=True), "openai-api/box").state == "broken"


def test_a_model_is_asked_after_by_name_where_the_list_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def respond(call: Call, number: int) -> Step:
        named = {"/v1/models/alias": Step({"id": "alias"}), "/v1/models": listing("small")}
        return named.get(call.path, error(404, "no such model"))

    with serving(respond) as server:
        box(monkeypatch, server.url)
        (one,) = servers.servers([])
        asked = servers.ask(one, ["small", "alias", "typo"])
        found = asked.result() if asked else None
    assert found and found.unknown == {"typo"}


def test_a_password_in_a_base_url_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def respond(call: Call, number: int) -> Step:
        return error(401, f"no: {call.headers['authorization']}")

    with serving(respond) as server:
        monkeypatch.setenv("BOX_BASE_URL", server.url.replace("//", f"//user:{KEY}@"))
        found = of(look(), "openai-api/box")
    assert "Basic" in found.detail and "dG9rZW4" not in found.detail


def test_names_of_servers_lead_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_BOX_BASE_URL", "http://127.0.0.1:9/v1")
    among = servers.servers(["anthropic/x"])

    def label(name: str) -> str | None:
        found = servers.server_of(name, among)
        return found.label if found else None

    assert label("openai-api/my-box/org/model") == label("openai-api/MY_BOX/m") == "openai-api/my_box"
    assert (label("anthropic/claude"), label("openai/gpt"), label("local/x")) == ("anthropic", None, None)
