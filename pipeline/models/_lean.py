"""Llama-like networks (Llama, Mistral, Qwen2, Qwen3) without the module machinery of `transformers`.

Tokens of all rows stand packed behind one another, without padding. Beginnings that rows share are computed once and
read by all of them. Numbers are those of the `transformers` modules up to rounding; a test compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch.nn import functional

from pipeline.errors import ModelUnavailable
from pipeline.models._attention import attend, merge
from pipeline.models._checkpoint import read_config, weight_files
from pipeline.models._engine import Question, Tokens
from pipeline.models._layers import Heads, Layer, Linear, RmsNorm, Rotary, build_layer
from pipeline.models._prefixes import Part, plan_parts

ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")

_TOKENS = 1024
"""Tokens of one pass: more gains nothing and falls out of the processor's cache."""
_COLUMNS = 64
"""The cache of a decoder grows by so many tokens at a time."""

Tensor = torch.Tensor
Table = tuple[Tensor, Tensor]


def is_lean(folder: Path) -> bool:
    """Whether this module computes what the model in `folder` needs."""
    config = read_config(folder)
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    return (
        config.get("architectures", [None])[0] in ARCHITECTURES
        and config.get("hidden_act", "silu") == "silu"
        and rope.get("rope_type", rope.get("type", "default")) in ("default", "linear", "llama3")
        and not (config.get("sliding_window") and config.get("use_sliding_window", True))
        and "quantization_config" not in config
        and not config.get("pretraining_tp", 1) > 1
    )


@dataclass(frozen=True)
class Span:
    """Keys and values of a text's beginning: a tensor a layer, (1, key heads, tokens, head size)."""

    keys: list[Tensor]
    values: list[Tensor]


@dataclass(frozen=True)
class Block:
    """`rows` packed rows of `length` tokens each from token `start` on, continuing the text of `span`.

    `branches` are the lengths of the texts that fork off each row's end and do not see one another.
    """

    start: int
    rows: int
    length: int
    span: Span | None
    branches: tuple[int, ...] = ()

    @property
    def stop(self) -> int:
        """One past the last token."""
        return self.start + self.rows * self.length


class Lean:
    """A Network of packed weights."""

    def __init__(self, config: Any, tensors: dict[str, Tensor]) -> None:
        self.context = int(config.max_position_embeddings)
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.heads = Heads(config.num_attention_heads, config.num_key_value_heads, size)
        self._embedding = tensors.pop("model.embed_tokens.weight")
        self.device, self.dtype = self._embedding.device, self._embedding.dtype
        self._rotary = _rotary(config, self.device, self.dtype)
        self._head_rows = tensors.pop("lm_head.weight", self._embedding)
        if config.tie_word_embeddings:
            self._head_rows = self._embedding
        self.head = Linear(self._head_rows)
        self._norm = RmsNorm(tensors.pop("model.norm.weight"), config.rms_norm_eps)
        self.layers: list[Layer] = [
            build_layer(lambda name, i=i: tensors.pop(f"model.layers.{i}.{name}", None), config.rms_norm_eps)  # type: ignore[misc]
            for i in range(config.num_hidden_layers)
        ]
        if unknown := [name for name in tensors if not name.endswith("inv_freq")]:
            raise ModelUnavailable(
                f"The model holds tensors that its architecture does not have, such as {unknown[0]}."
            )

    # Passes

    def hidden(self, tokens: Tensor, positions: Tensor, attention: Any) -> Tensor:
        """States before the last norm, (tokens, width); `attention(layer, query, key, value)` mixes tokens."""
        x = self._embedding[tokens]
        table = self._rotary.table(positions)
        for number, layer in enumerate(self.layers):
            x = layer(x, self.heads, table, lambda q, k, v, n=number: attention(n, q, k, v))
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """(rows, vocabulary), in the network's number format."""
        return self.head(self._norm(hidden))

    # Scoring

    @torch.inference_mode()
    def score(self, questions: Sequence[Question]) -> list[list[float]]:
        """Natural-log probability of each option, the sum over its tokens."""
        rows = [question.prompt for question in questions]
        forks = [tuple(len(o) - 1 for o in q.options if len(o) > 1) for q in questions]
        tails = [[token for o in q.options for token in o[:-1]] for q in questions]
        states = self._read(rows, forks, tails)
        scores = []
        log_p = self._log_probabilities(
            torch.cat([state for state in states]),
            [targets for question in questions for targets in _targets(question)],
        )
        for question in questions:
            first = next(log_p)
            rest = [next(log_p) for option in question.options for _ in option[1:]]
            scores.append(_sums(question, first, rest))
        return scores

    def _read(
        self, rows: Sequence[Tokens], forks: Sequence[tuple[int, ...]], tails: Sequence[list[int]]
    ) -> list[Tensor]:
        """States of every row's last token and of its branches, (1 + branch tokens, width) a row."""
        reader = _Reader(self, rows, forks, tails)
        return reader.read()

    def _log_probabilities(self, hidden: Tensor, targets: list[list[int]]) -> Any:
        """Yields, for every state, the natural-log probabilities of its target tokens."""
        for start in range(0, len(targets), _COLUMNS):
            part = targets[start : start + _COLUMNS]
            state = self._norm(hidden[start : start + _COLUMNS])
            width = max(map(len, part))
            ids = torch.tensor([row + row[:1] * (width - len(row)) for row in part], device=self.device)
            logits = self.head(state).float()
            # bfloat16 steps by up to .06 at the size of logits: those that matter are computed again in float32.
            sharp = torch.cat([ids, logits.argmax(-1, keepdim=True)], 1)
            exact = torch.einsum("nkd,nd->nk", self._head_rows[sharp].float(), state.float())
            logits.scatter_(1, sharp, exact)
            values = (exact[:, :-1] - logits.logsumexp(-1, keepdim=True)).tolist()
            yield from (row[: len(wanted)] for row, wanted in zip(values, part, strict=True))

    # Decoding

    @torch.inference_mode()
    def start(self, prompts: Sequence[Tokens], owners: Sequence[int], room: int) -> LeanDecoder:
        """A decoder whose rows continue `prompts[owner]`; each prompt is read once."""
        reader = _Reader(
            self, prompts, [()] * len(prompts), [[]] * len(prompts), uses=[owners.count(i) for i in range(len(prompts))]
        )
        states = torch.cat(reader.read())
        return LeanDecoder(self, reader, states, owners, [len(prompt) for prompt in prompts])


def load_lean(folder: Path, device: str, dtype: str) -> Lean:
    """The network in `folder`. Raises ModelUnavailable where its tensors are not those of its architecture."""
    from transformers import AutoConfig  # noqa: PLC0415

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    tensors: dict[str, Tensor] = {}
    for path in weight_files(folder):
        with safe_open(path, framework="pt") as file:
            tensors |= {name: file.get_tensor(name).to(device, getattr(torch, dtype)) for name in file.keys()}  # noqa: SIM118
    try:
        return Lean(config, tensors)
    except (KeyError, RuntimeError) as error:
        raise ModelUnavailable(f"The weights in {folder} do not fit its config.json: {error}") from error


def _rotary(config: Any, device: torch.device, dtype: torch.dtype) -> Rotary:
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding  # noqa: PLC0415

    embedding = LlamaRotaryEmbedding(config=config)
    return Rotary(embedding.inv_freq.to(device), float(embedding.attention_scaling), dtype)


class _Reader:
    """Reads rows part by part, level by level: shared beginnings first, then the rows' own ends."""

    def __init__(
        self,
        network: Lean,
        rows: Sequence[Tokens],
        forks: Sequence[tuple[int, ...]],
        tails: Sequence[list[int]],
        uses: Sequence[int] | None = None,
    ) -> None:
        self._network = network
        self._rows = rows
        self._forks = forks
        self._tails = tails
        self._keep = uses is not None
        self.parts = plan_parts(rows, uses)
        self.spans: dict[int, Span] = {}
        """Span of each shared part, from the beginning of the text; with `uses` also of each own end, alone."""

    def read(self) -> list[Tensor]:
        """States of every row's last token and branches."""
        states: list[Any] = [None] * len(self._rows)
        levels = sorted(range(len(self.parts)), key=lambda i: (self.parts[i].level, self._signature(i)))
        for _, level in groupby(levels, key=lambda i: self.parts[i].level):
            for numbers in self._passes(list(level)):
                self._read_pass(numbers, states)
        return states

    def _signature(self, number: int) -> tuple[Any, ...]:
        """Parts with the same one are computed as one dense block."""
        part = self.parts[number]
        forks = () if part.is_shared else self._forks[part.row]
        return (part.parent, part.is_shared, part.length + sum(forks), forks, number if part.is_shared else 0)

    def _passes(self, numbers: list[int]) -> list[list[int]]:
        passes: list[list[int]] = []
        size = 0
        for number in numbers:
            length = len(self._tokens(self.parts[number]))
            if not passes or size + length > _TOKENS:
                passes.append([])
                size = 0
            passes[-1].append(number)
            size += length
        return passes

    def _tokens(self, part: Part) -> list[int]:
        own = list(self._rows[part.row][part.start : part.stop])
        return own if part.is_shared else own + self._tails[part.row]

    def _positions(self, part: Part) -> list[int]:
        forks = () if part.is_shared else self._forks[part.row]
        return [*range(part.start, part.stop), *(part.stop + i for length in forks for i in range(length))]

    def _read_pass(self, numbers: list[int], states: list[Any]) -> None:
        network, parts = self._network, [self.parts[i] for i in numbers]
        tokens = torch.tensor([t for part in parts for t in self._tokens(part)], device=network.device)
        positions = torch.tensor([p for part in parts for p in self._positions(part)], device=network.device)
        mixer = PackedAttention(network, self._blocks(numbers), self._keep or any(part.is_shared for part in parts))
        hidden = network.hidden(tokens, positions, mixer)
        start = 0
        for number, part in zip(numbers, parts, strict=True):
            stop = start + len(self._tokens(part))
            if part.is_shared:
                self.spans[number] = mixer.span(start, stop, self.spans.get(part.parent))
            else:
                states[part.row] = hidden[start + part.length - 1 : stop]
                if self._keep:
                    self.spans[number] = mixer.span(start, stop, None)
            start = stop

    def _blocks(self, numbers: list[int]) -> list[Block]:
        blocks = []
        start = 0
        for _, group in groupby(numbers, key=self._signature):
            members = list(group)
            part = self.parts[members[0]]
            forks = () if part.is_shared else self._forks[part.row]
            block = Block(start, len(members), part.length + sum(forks), self.spans.get(part.parent), forks)
            blocks.append(block)
            start = block.stop
        return blocks


class PackedAttention:
    """Attention among the tokens of one pass."""

    def __init__(self, network: Lean, blocks: list[Block], keep: bool) -> None:
        self._heads = network.heads
        self._blocks = blocks
        self._masks = [_fork_mask(block, network.dtype, network.device) for block in blocks]
        self._keep = keep
        self._kept: list[tuple[Tensor, Tensor]] = []

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(tokens, heads, head size) each."""
        if self._keep:
            self._kept.append((key, value))
        out = torch.empty_like(query, memory_format=torch.contiguous_format)
        for block, mask in zip(self._blocks, self._masks, strict=True):
            out[block.start : block.stop] = self._mix(layer, block, mask, query, key, value)
        return out

    def _mix(self, layer: int, block: Block, mask: Tensor | None, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        q, k, v = (_as_rows(x[block.start : block.stop], block) for x in (query, key, value))
        own, lse = attend(q, k, v, causal=mask is None, mask=mask)
        if block.span is None:
            return own.transpose(1, 2).reshape(-1, *query.shape[1:])
        everyone = query[block.start : block.stop].transpose(0, 1)[None]
        shared, shared_lse = attend(everyone, block.span.keys[layer], block.span.values[layer], causal=False)
        own = own.transpose(1, 2).reshape(-1, *query.shape[1:])
        lse = lse.transpose(1, 2).reshape(-1, query.shape[1])
        return merge(own, lse, shared[0].transpose(0, 1), shared_lse[0].transpose(0, 1))

    def span(self, start: int, stop: int, before: Span | None) -> Span:
        """Keys and values of tokens `start:stop` of the pass, behind those of `before`."""
        keys = [key[start:stop].transpose(0, 1)[None] for key, _ in self._kept]
        values = [value[start:stop].transpose(0, 1)[None] for _, value in self._kept]
        if before is not None:
            keys = [torch.cat(pair, 2) for pair in zip(before.keys, keys, strict=True)]
            values = [torch.cat(pair, 2) for pair in zip(before.values, values, strict=True)]
        return Span([key.contiguous() for key in keys], [value.contiguous() for value in values])


class LeanDecoder:
    """A Decoder: a beginning shared by neighbouring rows, and a cache of each row's own tokens.

    Own tokens end in the same column for all rows, so that a step writes one column; shorter rows start later.
    """

    def __init__(
        self, network: Lean, reader: _Reader, states: Tensor, owners: Sequence[int], lengths: Sequence[int]
    ) -> None:
        self._network = network
        ends = {part.row: number for number, part in enumerate(reader.parts) if not part.is_shared}
        rank = {row: (reader.parts[number].parent, row) for row, number in ends.items()}
        order = sorted(range(len(owners)), key=lambda i: rank[owners[i]])
        self._place = torch.tensor(order, device=network.device).argsort()
        """Where each of the caller's rows stands in here."""
        rows = [owners[i] for i in order]
        self._parents = [reader.parts[ends[row]].parent for row in rows]
        self._spans = reader.spans
        own = [reader.parts[ends[row]].length for row in rows]
        self._positions = torch.tensor([lengths[row] for row in rows], device=network.device)
        self._starts = torch.tensor([max(own) - length for length in own], device=network.device)
        self._columns = max(own)
        self._keys, self._values = self._gather(rows, {row: reader.spans[n] for row, n in ends.items()})
        self._set_runs()
        self.logits = network.logits(states[torch.tensor(list(owners), device=network.device)])

    def _gather(self, rows: list[int], ends: dict[int, Span]) -> tuple[list[Tensor], list[Tensor]]:
        """Caches of all layers, with the own tokens of each row at the right."""
        distinct = sorted(set(rows))
        place = torch.tensor([distinct.index(row) for row in rows], device=self._network.device)
        keys = [[ends[row].keys[layer] for row in distinct] for layer in range(len(self._network.layers))]
        values = [[ends[row].values[layer] for row in distinct] for layer in range(len(self._network.layers))]
        return [self._aligned(part, place) for part in keys], [self._aligned(part, place) for part in values]

    def _aligned(self, parts: list[Tensor], place: Tensor) -> Tensor:
        padded = [functional.pad(part, (0, 0, self._columns - part.shape[2], _COLUMNS)) for part in parts]
        return torch.cat(padded)[place]

    def _set_runs(self) -> None:
        """Neighbouring rows with the same beginning, and the mask over columns before a row's first token."""
        self._runs = []
        start = 0
        for parent, members in groupby(self._parents):
            stop = start + len(list(members))
            if parent >= 0:
                self._runs.append((start, stop, self._spans[parent]))
            start = stop
        self._has_gaps = bool(self._starts.any())

    @torch.inference_mode()
    def step(self, tokens: Tensor) -> None:
        """Append one token a row."""
        if self._columns == self._keys[0].shape[2]:
            self._keys = [functional.pad(key, (0, 0, 0, _COLUMNS)) for key in self._keys]
            self._values = [functional.pad(value, (0, 0, 0, _COLUMNS)) for value in self._values]
        self._columns += 1
        self._mask = self._gap_mask()
        inner = torch.empty_like(tokens)
        inner[self._place] = tokens
        hidden = self._network.hidden(inner, self._positions, self._attend)
        self._positions = self._positions + 1
        self.logits = self._network.logits(hidden[self._place])

    def _gap_mask(self) -> Tensor | None:
        if not self._has_gaps:
            return None
        before = torch.arange(self._columns, device=self._starts.device)[None] < self._starts[:, None]
        mask = torch.zeros(before.shape, dtype=self._network.dtype, device=before.device)
        return mask.masked_fill_(before, -torch.inf)[:, None, None]

    def _attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        heads = self._network.heads
        keys, values = self._keys[layer], self._values[layer]
        keys[:, :, self._columns - 1] = key
        values[:, :, self._columns - 1] = value
        # Query heads of one key head stand as its tokens: each key is then read once and not once a query head.
        q = query.reshape(query.shape[0], heads.key, -1, heads.size)
        mask = None if self._mask is None else self._mask.expand(-1, -1, q.shape[2], -1)
        out, lse = attend(q, keys[:, :, : self._columns], values[:, :, : self._columns], causal=False, mask=mask)
        for start, stop, span in self._runs:
            shared, shared_lse = self._attend_span(q[start:stop], span.keys[layer], span.values[layer])
            out[start:stop] = merge(out[start:stop], lse[start:stop], shared, shared_lse)
        return out.reshape(query.shape)

    def _attend_span(self, q: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        rows, heads, group, size = q.shape
        everyone = q.transpose(0, 1).reshape(1, heads, rows * group, size)
        out, lse = attend(everyone, key, value, causal=False)
        return out.view(heads, rows, group, size).transpose(0, 1), lse.reshape(heads, rows, group).transpose(0, 1)

    @torch.inference_mode()
    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these."""
        places, order = self._place[rows].sort()
        self._place = order.argsort()
        self._keys = [key[places] for key in self._keys]
        self._values = [value[places] for value in self._values]
        self._positions, self._starts = self._positions[places], self._starts[places]
        self._parents = [self._parents[place] for place in places.tolist()]
        self._set_runs()
        self.logits = self.logits[rows]


def _as_rows(x: Tensor, block: Block) -> Tensor:
    """(tokens, heads, size) -> (rows, heads, length, size)."""
    return x.unflatten(0, (block.rows, block.length)).transpose(1, 2)


def _fork_mask(block: Block, dtype: torch.dtype, device: torch.device) -> Tensor | None:
    """What each token of a row sees: all before it in its own branch and in the stem."""
    if not block.branches:
        return None
    seen = torch.ones(block.length, block.length, dtype=torch.bool).tril()
    start = stem = block.length - sum(block.branches)
    for length in block.branches:
        seen[start:, stem:start] = False
        start += length
    mask = torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, -torch.inf)
    return mask.to(device)[None, None]


def _targets(question: Question) -> list[list[int]]:
    """Per state of a question, the tokens whose probability is wanted."""
    return [[o[0] for o in question.options], *([token] for o in question.options for token in o[1:])]


def _sums(question: Question, first: list[float], rest: list[list[float]]) -> list[float]:
    following = iter(rest)
    return [first[i] + sum(next(following)[0] for _ in option[1:]) for i, option in enumerate(question.options)]
