"""The OpenAI protocol, chat and completions: our requests as JSON bodies, JSON answers as our replies, the provider.

`openai.py` connects it to OpenAI itself, `openai_api.py` to every compatible server.
What a model does not take (temperature, log-probabilities, an effort) is found out from the server's 400 and left
out from then on, since lists of model names age faster than programs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipeline.errors import Unsupported
from pipeline.models._api import CONNECT_SECONDS, ENGINE, ApiProvider, basic_authorization, info_for, public_url
from pipeline.models._estimates import (
    LISTED_TOKENS,
    SAMPLE_TOKENS,
    SAMPLES,
    USUAL_ANSWER_TOKENS,
    USUAL_TOKENS,
    FinishReason,
    Position,
    choice_from_samples,
    choice_from_top_logprobs,
    completion,
    fold_prefill,
    load_of,
    positions_needed,
    sample_prompt,
)
from pipeline.models._faults import CallError, refused_parameter, scrub
from pipeline.models._rendering import HUMAN_TURN, Rendering, answer_form
from pipeline.models._session import Session, Superseded
from pipeline.ports import (
    Choice,
    ChoiceRequest,
    Completion,
    Embedding,
    EmbeddingRequest,
    Load,
    Messages,
    Reply,
    Request,
    SampleRequest,
)
from pipeline.schema import ModelInfo, fingerprint

if TYPE_CHECKING:
    from pipeline.models._batch_protocol import BatchProtocol, Wire

THINKING_TOKENS = 4096
"""Added to the budget of a model that thinks, whose thoughts count as output."""

MOST_STOPS = 4
_OPTIONAL = (
    "temperature",
    "top_p",
    "stop",
    "seed",
    "logprobs",
    "top_logprobs",
    "max_tokens",
    "max_completion_tokens",
    "reasoning_effort",
)
_REFUSED_INPUT = {"content_filter", "content_policy_violation", "invalid_prompt"}
_DECLINED = {"choices": [{"finish_reason": "content_filter"}]}
_THOUGHTS = re.compile(r"\s*<think>.*?(</think>\s*|$)", re.S)


@dataclass(frozen=True)
class Dialect:
    """How one model wants to be spoken to."""

    model: str
    api: Literal["chat", "completions"] = "chat"
    official: bool = False
    """OpenAI itself: `max_completion_tokens`, and reasoning models known by name."""
    refused: frozenset[str] = frozenset()

    @property
    def thinks(self) -> bool:
        """Whether it writes hidden thoughts first, and so takes no temperature, top_p, stop or logprobs."""
        return self.official and (always_thinks(self.model) or "reasoning_effort=none" in self.refused)

    @property
    def gives_logprobs(self) -> bool:
        """Whether the choice comes from listed tokens; sampled otherwise."""
        return not self.thinks and not {"logprobs", "top_logprobs"} & self.refused


def always_thinks(model: str) -> bool:
    """Whether an OpenAI model cannot do without reasoning: o1, o3, o4, the first gpt-5 and every -pro and -codex."""
    return bool(re.match(r"o\d|gpt-5(?![.\d])(?!.*chat)|gpt-[5-9].*(pro|codex)", model))


def can_skip_thinking(model: str) -> bool:
    """Whether an OpenAI model thinks unless it is told `reasoning_effort: none`: gpt-5.1 and later."""
    return bool(re.match(r"gpt-(5\.\d|[6-9])(?!.*chat)", model)) and not always_thinks(model)


def sample_body(request: SampleRequest, dialect: Dialect) -> dict[str, Any]:
    """The JSON body that asks for one continuation."""
    seed = int(fingerprint([request.seed, request.index], 7), 16)
    body = {
        "model": dialect.model,
        **_prompt(request.messages, dialect, repeat=True),
        **_budget(request.max_tokens, dialect),
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": list(_stops_to_send(request, dialect)),
        "seed": seed,
    }
    return _pruned(body, dialect)


def choice_body(request: ChoiceRequest, dialect: Dialect) -> dict[str, Any]:
    """The JSON body that asks for the most probable tokens in the place of the answer."""
    tokens = positions_needed(request.options)
    wanted: dict[str, Any] = {"logprobs": True, "top_logprobs": LISTED_TOKENS}
    body = {
        "model": dialect.model,
        **_prompt(request.messages, dialect, repeat=False),
        **_budget(tokens, dialect),
        **(wanted if dialect.api == "chat" else {"logprobs": LISTED_TOKENS}),
        "temperature": 0.0,
        "seed": 0,
    }
    return _pruned(body, dialect)


def sampled_choice(request: ChoiceRequest) -> list[SampleRequest]:
    """The draws that stand in for log-probabilities."""
    messages = sample_prompt(request.messages, request.options)
    return [SampleRequest(messages, SAMPLE_TOKENS, index=i) for i in range(SAMPLES)]


def embedding_body(texts: Sequence[str], model: str) -> dict[str, Any]:
    """The JSON body that asks for the vectors of several texts. Empty texts, which servers refuse, become a space."""
    return {"model": model, "input": [text or " " for text in texts], "encoding_format": "float"}


def _prompt(messages: Messages, dialect: Dialect, repeat: bool) -> dict[str, Any]:
    if dialect.api == "completions":
        return {"prompt": Rendering().render(messages)}
    folded, _ = fold_prefill(messages, repeat)
    return {"messages": [{"role": turn.role, "content": turn.content} for turn in folded]}


def _folded(messages: Messages, dialect: Dialect) -> Messages:
    return messages if dialect.api == "completions" else fold_prefill(messages)[0]


def _thoughts(dialect: Dialect) -> int:
    return THINKING_TOKENS if dialect.thinks else 0


def _budget(tokens: int, dialect: Dialect) -> dict[str, Any]:
    if dialect.thinks:
        return {"max_completion_tokens": tokens + THINKING_TOKENS, "reasoning_effort": "low"}
    # Compatible servers may ignore the new name, and then write without end.
    new = dialect.official and dialect.api == "chat"
    if {"max_tokens", "max_completion_tokens"} & dialect.refused:
        new = not new
    effort = {"reasoning_effort": "none"} if dialect.official and can_skip_thinking(dialect.model) else {}
    return {"max_completion_tokens" if new else "max_tokens": tokens, **effort}


def _stops(request: SampleRequest, dialect: Dialect) -> tuple[str, ...]:
    return (*request.stop, HUMAN_TURN) if dialect.api == "completions" else request.stop


def _stops_to_send(request: SampleRequest, dialect: Dialect) -> tuple[str, ...]:
    """At most four; none that stands in a prefill which the model is to repeat."""
    folded = dialect.api == "chat" and request.messages[-1:] and request.messages[-1].role == "assistant"
    prefill = request.messages[-1].content if folded else ""
    return tuple(stop for stop in _stops(request, dialect) if stop and stop not in prefill)[:MOST_STOPS]


def _pruned(body: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    without = set(dialect.refused)
    if {"logprobs", "top_logprobs"} & without:
        without |= {"logprobs", "top_logprobs"}
    if dialect.thinks:
        without |= {"temperature", "top_p", "stop", "logprobs", "top_logprobs"}
    if body.get("top_p") == 1.0:
        without.add("top_p")
    if not body.get("stop"):
        without.add("stop")
    return {name: value for name, value in body.items() if name not in without}


def read_sample(answer: Mapping[str, Any], request: SampleRequest, dialect: Dialect) -> Completion:
    """The reply in a server's answer to `sample_body`. Raises a CallError that heals if it has no choice in it."""
    choice = _first_choice(answer)
    message = choice.get("message") or {}
    text = choice.get("text") if dialect.api == "completions" else message.get("content")
    prefill = "" if dialect.api == "completions" else fold_prefill(request.messages)[1]
    finish: FinishReason = "length" if choice.get("finish_reason") == "length" else "stop"
    if message.get("refusal") or choice.get("finish_reason") == "content_filter":
        text, finish = message.get("refusal") or text, "refusal"
    text = _THOUGHTS.sub("", text or "", count=1) if (text or "").lstrip().startswith("<think>") else text or ""
    return completion(text, finish, _stops(request, dialect), prefill, *_tokens(answer))


def read_choice(answer: Mapping[str, Any], request: ChoiceRequest, dialect: Dialect) -> Choice | None:
    """The reply in a server's answer to `choice_body`; None if the server gives no probabilities.

    A refusal, or an answer that ended before its first token, puts next to no mass on the options.
    """
    choice = _first_choice(answer)
    logprobs = choice.get("logprobs") or {}
    positions = _positions(logprobs)
    declined = (choice.get("message") or {}).get("refusal") or choice.get("finish_reason") == "content_filter"
    if not positions and not declined and logprobs.get("content") != []:
        return None
    tokens_in, tokens_out = _tokens(answer)
    prompt = Rendering().render(request.messages) if dialect.api == "completions" else "\n"
    return Choice(
        log_probabilities=choice_from_top_logprobs(positions, request.options),
        estimator="top_logprobs",
        answer_forms=tuple(answer_form(option, prompt) for option in request.options),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
    )


def _positions(logprobs: Mapping[str, Any]) -> list[Position]:
    """From the chat form, which llama.cpp uses for completions too, or from the older form of completions."""
    if entries := logprobs.get("content") or logprobs.get("refusal"):
        lists = [(e["token"], [(t["token"], t["logprob"]) for t in e.get("top_logprobs") or []]) for e in entries]
    else:
        tops = logprobs.get("top_logprobs") or []
        lists = [(t, list(top.items())) for t, top in zip(logprobs.get("tokens") or [], tops, strict=False) if top]
    return [Position(token, tuple(listed)) for token, listed in lists if listed]


def read_embeddings(answer: Mapping[str, Any], count: int) -> list[Embedding]:
    """Unit vectors in the order of the request. The tokens, told only as a sum, are counted with the first."""
    rows = sorted(answer.get("data") or [], key=lambda row: row.get("index", 0))
    if len(rows) != count:
        raise CallError(f"{count} texts were sent and {len(rows)} vectors came back", 200, heals=True)
    vectors = [np.asarray(row["embedding"], dtype=np.float32) for row in rows]
    tokens = _tokens(answer)[0]
    return [
        Embedding(vector / max(float(np.linalg.norm(vector)), 1e-12), tokens_in=0 if i else tokens)
        for i, vector in enumerate(vectors)
    ]


def _first_choice(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise CallError("the answer holds no choice", 200, heals=True)
    return choices[0]


def _tokens(answer: Mapping[str, Any]) -> tuple[int, int]:
    usage = answer.get("usage") or {}
    return int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)


@dataclass
class OpenAiProvider(ApiProvider):
    """A model behind the OpenAI protocol."""

    api: Literal["chat", "completions"] = "chat"
    official: bool = False
    batch_setting: str = ""
    """The variable that would say that the server has a batch API; "" where it is known to have one."""

    @property
    def info(self) -> ModelInfo:
        """Kind `embedding` for names that say so, `base` behind the completions API, else `chat`."""
        kind = "embedding" if "embed" in self.model else "base" if self.api == "completions" else "chat"
        return info_for(self.name, self.model, kind, self._dialect(frozenset()).thinks)

    def identity(self) -> Mapping[str, Any]:
        """Server, model, protocol, and how choices are sampled where the server gives no probabilities."""
        return {
            "provider": self.name.partition("/")[0],
            "base_url": public_url(self.base_url),
            "model": self.model,
            "api": self.api,
            "k": SAMPLES,
            "engine": ENGINE,
        }

    def open_client(self, key: str) -> tuple[ModuleType, Any]:
        """The official SDK. Organisation and project of an OpenAI account are no business of other servers."""
        import openai

        from pipeline.models._transport import http_client

        headers: dict[str, Any] = basic_authorization(self.base_url)
        if not self.official:
            headers |= {"OpenAI-Organization": openai.Omit(), "OpenAI-Project": openai.Omit()}
        client = openai.AsyncOpenAI(
            api_key=key,
            base_url=public_url(self.base_url),
            max_retries=0,
            http_client=http_client(openai, self.base_url),
            timeout=openai.Timeout(self.policy.request_seconds, connect=CONNECT_SECONDS),
            default_headers=headers,
        )
        return openai, client

    def use_batches(self, folder: Path) -> None:
        """As for every API. A compatible server is taken to have no batch API unless a setting says that it has."""
        if self.batch_setting:
            self.note(f"{self.name} is asked live; {self.batch_setting}=1 says that its server has a batch API")
        else:
            super().use_batches(folder)

    def batch_protocol(self, wire: Wire) -> BatchProtocol:
        """OpenAI's Batch API."""
        from pipeline.models._batch_openai import OpenAiBatches

        return OpenAiBatches(wire, self.official)

    def load(self, request: Request) -> Load:
        """A sample, a list of log-probabilities or the samples that stand for it, or a text to embed."""
        dialect = self._dialect(frozenset(self.refused))
        if isinstance(request, EmbeddingRequest):
            return Load(calls=1, bytes_in=len(request.text.encode()))
        if isinstance(request, SampleRequest):
            return load_of(_folded(request.messages, dialect), 1, USUAL_TOKENS, request.max_tokens, _thoughts(dialect))
        if not isinstance(request, ChoiceRequest):
            return Load()
        listed = load_of(_folded(request.messages, dialect), 1, 1, positions_needed(request.options))
        draw = sampled_choice(request)[0].messages
        sampled = load_of(draw, SAMPLES, USUAL_ANSWER_TOKENS, SAMPLE_TOKENS, _thoughts(dialect))
        if not dialect.gives_logprobs:
            return sampled
        return replace(listed, fallback=sampled)

    def learn(self, fault: CallError, body: Mapping[str, Any]) -> str | None:
        """The optional parameter that the 400 refuses."""
        name = refused_parameter(fault.message, [name for name in _OPTIONAL if name in body])
        if name == "reasoning_effort" and body[name] == "none":
            return "reasoning_effort=none"
        return name

    async def ask(self, session: Session, requests: Sequence[Request]) -> list[Reply]:
        """One sample, one choice, or the vectors of several texts."""
        first = requests[0]
        if isinstance(first, EmbeddingRequest):
            return list(await self._embed(session, [r.text for r in requests if isinstance(r, EmbeddingRequest)]))
        if isinstance(first, SampleRequest):
            return [await self._sample(session, first)]
        if isinstance(first, ChoiceRequest):
            return [await self._choose(session, first)]
        raise Unsupported(f"{self.name} gives no rewards")

    def _dialect(self, refused: frozenset[str]) -> Dialect:
        return Dialect(self.model, self.api, self.official, refused)

    @property
    def _path(self) -> str:
        return "/chat/completions" if self.api == "chat" else "/completions"

    async def _sample(self, session: Session, request: SampleRequest) -> Completion:
        dialect = self._dialect(frozenset())
        try:
            return await session.call(
                self._path,
                lambda refused: sample_body(request, self._dialect(refused)),
                lambda answer: read_sample(answer, request, dialect),
                request,
            )
        except CallError as fault:
            if fault.status == 400 and fault.code in _REFUSED_INPUT:
                return Completion("", "refusal")
            raise

    async def _choose(self, session: Session, request: ChoiceRequest) -> Choice:
        if self._dialect(frozenset(self.refused)).gives_logprobs:
            if reply := await self._listed(session, request):
                return reply
            if "logprobs" not in self.refused:
                self.refused.add("logprobs")
                self.note(f"{self.name} gives no log-probabilities; its choices are estimated from {SAMPLES} samples")
        draws = await session.together(self._sample(session, draw) for draw in sampled_choice(request))
        return choice_from_samples(draws, [option.strip() for option in request.options])

    async def _listed(self, session: Session, request: ChoiceRequest) -> Choice | None:
        dialect = self._dialect(frozenset())

        def build(refused: frozenset[str]) -> dict[str, Any]:
            now = self._dialect(refused)
            if not now.gives_logprobs:
                raise Superseded
            return choice_body(request, now)

        try:
            return await session.call(
                self._path,
                build,
                lambda answer: read_choice(answer, request, dialect),
                request,
            )
        except CallError as fault:
            if fault.status == 400 and fault.code in _REFUSED_INPUT:
                return read_choice(_DECLINED, request, dialect)
            raise
        except Superseded:
            return None

    async def _embed(self, session: Session, texts: Sequence[str]) -> list[Embedding]:
        if self.official and not self.model.startswith("text-embedding"):
            raise Unsupported(f"{self.name} gives no embeddings; openai/text-embedding-3-small does")
        try:
            return await session.call(
                "/embeddings",
                lambda refused: embedding_body(texts, self.model),
                lambda answer: read_embeddings(answer, len(texts)),
            )
        except CallError as fault:
            if fault.status in {400, 404, 405, 501}:
                said = scrub(fault.message, session.secret)[:120]
                raise Unsupported(f"{self.name} gives no embeddings ({fault.status}: {said})") from None
            raise
