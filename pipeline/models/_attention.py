"""Attention in two pieces that are put together by their log-sum-exp: over a shared beginning, and over a row's own.

The shared piece reads one copy of its keys for all rows, as one dense product (Juravsky et al. 2024, Hydragen).
Shapes are (batch, heads, tokens, head size); keys and values may have fewer heads (grouped queries).
"""

from __future__ import annotations

import math

import torch

Tensor = torch.Tensor


def attend(
    query: Tensor, key: Tensor, value: Tensor, causal: bool, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Softmax attention and the log-sum-exp of its scores, shape (batch, heads, tokens), float32."""
    if query.device.type == "cpu":
        # The function behind scaled_dot_product_attention, which does not hand out the log-sum-exp.
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, causal, attn_mask=mask
        )
        return out, lse
    return attend_plainly(query, key, value, causal, mask)


def attend_plainly(
    query: Tensor, key: Tensor, value: Tensor, causal: bool, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The same from basic operations, for devices without the fused function."""
    group = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
    scores = (query @ key.transpose(-1, -2)).float() / math.sqrt(query.shape[-1])
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    if mask is not None:
        scores = scores + mask
    lse = scores.logsumexp(-1)
    return (scores - lse[..., None]).exp().to(value.dtype) @ value, lse


def merge(out: Tensor, lse: Tensor, other: Tensor, other_lse: Tensor) -> Tensor:
    """Attention over the union of two sets of keys, from the attention over each."""
    weight = torch.sigmoid(other_lse - lse)[..., None].to(out.dtype)
    return torch.lerp(out, other, weight)
