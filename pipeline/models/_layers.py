"""The parts of a Llama-like network, each as few kernel calls as possible.

On a CPU in bfloat16, weights are packed once for oneDNN: at 64 rows that is twice as fast as `linear`, which packs
them at every call, and the activation, the gate and the residual sum are fused into the product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

Tensor = torch.Tensor

_PACKED_FOR_ROWS = 64


class Linear:
    """x @ weight.T + bias, optionally followed by silu, by a product with, or a sum with another tensor."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self._bias = bias
        self._packed = can_pack(weight)
        pack = torch.ops.mkldnn._reorder_linear_weight
        self._weight = pack(weight.contiguous(), _PACKED_FOR_ROWS) if self._packed else weight

    def __call__(self, x: Tensor) -> Tensor:
        """Shape (rows, outputs)."""
        y: Tensor = self._unary(x, "none") if self._packed else functional.linear(x, self._weight, self._bias)
        return y

    def silu(self, x: Tensor) -> Tensor:
        """silu(x @ weight.T + bias)."""
        return self._unary(x, "swish") if self._packed else functional.silu(self(x))

    def times(self, x: Tensor, other: Tensor) -> Tensor:
        """(x @ weight.T + bias) * other."""
        return self._binary(x, other, "mul") if self._packed else self(x) * other

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """(x @ weight.T + bias) + other."""
        return self._binary(x, other, "add") if self._packed else self(x) + other

    def _unary(self, x: Tensor, then: str) -> Tensor:
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, then, [], "")
        return y

    def _binary(self, x: Tensor, other: Tensor, then: str) -> Tensor:
        y: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, other, self._weight, self._bias, then)
        return y


def can_pack(weight: Tensor) -> bool:
    """Whether oneDNN's packed products are there for this weight."""
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.bfloat16
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


class RmsNorm:
    """x / rms(x) * weight over the last dimension, computed in float32."""

    def __init__(self, weight: Tensor, epsilon: float) -> None:
        self._weight = weight
        self._epsilon = epsilon

    def __call__(self, x: Tensor) -> Tensor:
        """Same shape and number format as x."""
        y = x.float()
        norm = torch.linalg.vector_norm(y, dim=-1, keepdim=True)
        scale = (norm.square_() / y.shape[-1]).add_(self._epsilon).rsqrt_()
        normed: Tensor = (y * scale).to(x.dtype) * self._weight
        return normed


class Rotary:
    """Rotary position embedding in the half-split form."""

    def __init__(self, inverse_frequency: Tensor, scaling: float, dtype: torch.dtype) -> None:
        self._inverse_frequency = inverse_frequency.float()
        self._scaling = scaling
        self._dtype = dtype

    def table(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines for these positions, each (tokens, 1, head size)."""
        angles = positions[:, None].float() * self._inverse_frequency[None]
        cos, sin = angles.cos() * self._scaling, angles.sin() * self._scaling
        both = torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)
        return both[0][:, None].to(self._dtype), both[1][:, None].to(self._dtype)


def rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Apply rotary positions to (tokens, heads, head size)."""
    cos, sin = table
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


@dataclass(frozen=True)
class Layer:
    """One block: attention and gated feed-forward, each behind a norm and added to its input."""

    norm: RmsNorm
    qkv: Linear
    query_norm: RmsNorm | None
    key_norm: RmsNorm | None
    output: Linear
    feed_norm: RmsNorm
    gate: Linear
    up: Linear
    down: Linear

    def __call__(
        self, x: Tensor, heads: Heads, table: tuple[Tensor, Tensor], attention: Callable[..., Tensor]
    ) -> Tensor:
        """x of shape (tokens, width); `attention(query, key, value)` gets and gives (tokens, heads, head size)."""
        qkv = self.qkv(self.norm(x)).view(x.shape[0], -1, heads.size)
        qk, value = qkv[:, : heads.query + heads.key], qkv[:, heads.query + heads.key :]
        if self.query_norm is not None and self.key_norm is not None:
            qk = torch.cat([self.query_norm(qk[:, : heads.query]), self.key_norm(qk[:, heads.query :])], 1)
        qk = rotate(qk, table)
        mixed = attention(qk[:, : heads.query], qk[:, heads.query :], value)
        x = self.output.plus(mixed.reshape(x.shape[0], -1), x)
        hidden = self.feed_norm(x)
        return self.down.plus(self.up.times(hidden, self.gate.silu(hidden)), x)


@dataclass(frozen=True)
class Heads:
    """Numbers of query heads and of key and value heads, and their size."""

    query: int
    key: int
    size: int


def build_layer(take: Callable[[str], Tensor | None], epsilon: float) -> Layer:
    """A layer from its tensors; `take(name)` gives one of them, or None where the model has none."""

    def linear(*names: str) -> Linear:
        weights: list[Any] = [take(f"{name}.weight") for name in names]
        biases: list[Any] = [take(f"{name}.bias") for name in names]
        # A product with some biases only (as in no known model) would need zeros for the others.
        bias = None if any(b is None for b in biases) else torch.cat(biases)
        return Linear(torch.cat(weights) if len(weights) > 1 else weights[0], bias)

    def norm(name: str) -> RmsNorm | None:
        weight = take(f"{name}.weight")
        return None if weight is None else RmsNorm(weight, epsilon)

    def needed(name: str) -> RmsNorm:
        found = norm(name)
        if found is None:
            raise KeyError(name)
        return found

    return Layer(
        norm=needed("input_layernorm"),
        qkv=linear("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        query_norm=norm("self_attn.q_norm"),
        key_norm=norm("self_attn.k_norm"),
        output=linear("self_attn.o_proj"),
        feed_norm=needed("post_attention_layernorm"),
        gate=linear("mlp.gate_proj"),
        up=linear("mlp.up_proj"),
        down=linear("mlp.down_proj"),
    )
