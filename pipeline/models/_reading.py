"""Reading many rows at once: what they share first, then their own ends, packed without padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch

from pipeline.models._attention import attend, merge
from pipeline.models._prefixes import Part, plan_parts
from pipeline.models._work import Tokens

if TYPE_CHECKING:
    from pipeline.models._lean import Lean

_TOKENS = 1024
"""Tokens of one pass: more gains nothing and falls out of the processor's cache."""

Tensor = torch.Tensor


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


@dataclass
class Tap:
    """Where states are read inside the network: after `layer` of its layers."""

    layer: int
    states: Any = None
    """Of the last pass, (tokens, width)."""


class Reader:
    """Reads rows part by part, level by level: shared beginnings first, then the rows' own ends."""

    def __init__(
        self,
        network: Lean,
        rows: Sequence[Tokens],
        forks: Sequence[tuple[int, ...]],
        tails: Sequence[list[int]],
        uses: Sequence[int] | None = None,
        tap: Tap | None = None,
    ) -> None:
        self._network = network
        self._rows = rows
        self._forks = forks
        self._tails = tails
        self._keep = uses is not None
        self._tap = tap
        self.tapped: list[Any] = [None] * len(rows)
        """With a tap: the state of each row's last token, (width,)."""
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
        hidden = network.hidden(tokens, positions, mixer, self._tap)
        start = 0
        for number, part in zip(numbers, parts, strict=True):
            stop = start + len(self._tokens(part))
            if part.is_shared:
                self.spans[number] = mixer.span(start, stop, self.spans.get(part.parent))
            else:
                states[part.row] = hidden[start + part.length - 1 : stop]
                if self._tap is not None:
                    self.tapped[part.row] = self._tap.states[start + part.length - 1].clone()
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


def _as_rows(x: Tensor, block: Block) -> Tensor:
    """(tokens, heads, size) -> (rows, heads, length, size)."""
    return x.reshape(block.rows, block.length, *x.shape[1:]).transpose(1, 2)


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
