"""Drawing the next token: temperature, nucleus and guidance, each row with a random stream of its own."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pipeline.errors import ModelError

Tensor = torch.Tensor

PLAUSIBLE = 0.1
"""Guidance only moves tokens at least this probable relative to the best one (Li et al. 2022, section 3.2)."""

_LEAST_TEMPERATURE = 1e-4
"""Below it only the best token, and tokens that tie with it, have any weight."""

_BLOCK = 128
_CACHED = 2**19
"""Numbers worked on at once: 2 MB."""

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


def random_stream(seed: int, index: int) -> np.random.Generator:
    """Uniform numbers fixed by seed and sample index alone, whatever else is in the batch."""
    key = hashlib.blake2b(f"{seed}:{index}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(key, dtype=np.uint64)))


def guided(logits: Tensor, contrast: Tensor, guidance: Tensor) -> Tensor:
    """logits + g * (logits - contrast), over the tokens plausible without guidance; shape (rows, vocabulary)."""
    plain = logits.float().log_softmax(-1)
    other = contrast.float().log_softmax(-1)
    moved = plain + guidance[:, None] * (plain - other)
    plausible = plain >= plain.amax(-1, keepdim=True) + math.log(PLAUSIBLE)
    return torch.where(plausible, moved, torch.full_like(moved, -torch.inf))


def draw(logits: Tensor, temperature: Tensor, top_p: Tensor, streams: Sequence[np.random.Generator]) -> Ints:
    """One token a row. A temperature of 0 takes the most probable token.

    The nucleus (Holtzman et al. 2020) is the smallest set of most probable tokens with a mass of `top_p`, ties in.
    It is sampled by drawing from all tokens until one lies in it, which is exact and needs no sorting:
    a token is in the nucleus when the tokens above it have less than `top_p` of the mass.
    """
    vocabulary = logits.shape[-1]
    blocks = -(-vocabulary // _BLOCK)
    # A few rows at a time stay in the processor's cache through all passes over the vocabulary.
    at_once = max(1, _CACHED // (blocks * _BLOCK)) if logits.device.type == "cpu" else len(streams)
    scratch = torch.zeros(at_once, blocks * _BLOCK, device=logits.device)
    chosen = np.empty(len(streams), dtype=np.int64)
    for start in range(0, len(streams), at_once):
        rows = slice(start, start + at_once)
        weights = scratch[: len(streams[rows])]
        _weigh(logits[rows], temperature[rows], weights[:, :vocabulary])
        chosen[rows] = _draw_rows(weights, top_p[rows].tolist(), streams[rows])
    return chosen


def _weigh(logits: Tensor, temperature: Tensor, weights: Tensor) -> None:
    """Write exp((logits - best) / temperature) into `weights`."""
    torch.sub(logits, logits.amax(-1, keepdim=True).float(), out=weights)
    weights.mul_(1 / temperature[:, None].clamp(min=_LEAST_TEMPERATURE)).exp_()


def _draw_rows(weights: Tensor, top_p: list[float], streams: Sequence[np.random.Generator]) -> list[int]:
    """Tokens drawn with probabilities proportional to `weights`, each from its row's nucleus."""
    upto = _cumulate(weights)
    if not np.isfinite(upto[:, -1]).all():
        raise ModelError(
            "The model computed logits that are not numbers. Its weights may be damaged or overflow in this dtype."
        )
    return [_draw_row(weights[i], upto[i], top_p[i], stream) for i, stream in enumerate(streams)]


def _draw_row(weights: Tensor, upto: Floats, top_p: float, stream: np.random.Generator) -> int:
    enough = top_p * upto[-1]
    while True:
        token = _draw_one(weights, upto, stream.random())
        if top_p >= 1:
            return token
        above = torch.threshold(weights, float(weights[token]), 0.0)
        mass = float(above.sum())
        if mass < enough or mass == 0:
            return token
        # The token lies outside, and so do all that are less probable.
        weights, upto = above, _cumulate(above)


def _cumulate(weights: Tensor) -> Floats:
    """Cumulated weight of the blocks of each row."""
    cumulated: Floats = weights.reshape(*weights.shape[:-1], -1, _BLOCK).sum(-1).double().cumsum(-1).cpu().numpy()
    return cumulated


def _draw_one(weights: Tensor, upto: Floats, uniform: float) -> int:
    """The token at which the cumulated weight passes a share of `uniform`: first its block, then its place there."""
    mark = min(uniform * upto[-1], np.nextafter(upto[-1], 0))
    block = int(np.searchsorted(upto, mark, side="right"))
    inside = weights[block * _BLOCK : (block + 1) * _BLOCK].double().cpu().numpy()
    before = upto[block - 1] if block else 0.0
    place = int(np.searchsorted(inside.cumsum(), mark - before, side="right"))
    # Rounding may point past the last token of the block that has any weight.
    return block * _BLOCK + min(place, int(np.flatnonzero(inside)[-1]))
