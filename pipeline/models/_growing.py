"""Rows that grow by a token a step, on a Lean network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from pipeline.models._attention import attend, merge
from pipeline.models._reading import Reader, Span

if TYPE_CHECKING:
    from pipeline.models._lean import Lean

_COLUMNS = 64
"""The cache grows by so many tokens at a time."""

Tensor = torch.Tensor


class LeanDecoder:
    """A Decoder: a beginning shared by neighbouring rows, and a cache of each row's own tokens.

    Own tokens end in the same column for all rows, so that a step writes one column; shorter rows start later.
    """

    def __init__(
        self, network: Lean, reader: Reader, states: Tensor, owners: Sequence[int], lengths: Sequence[int]
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
