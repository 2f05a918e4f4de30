"""Weights rounded to a few bits as they are loaded: how far does quantisation alone move an answer?

Round to nearest, symmetric, in blocks of 32 along a row that share one scale, as GGUF's Q8_0 and Q4_0 do; matrices
alone, not norms and biases. It is a floor for what quantisation does: methods that look at the error (GPTQ, AWQ, the
K-quants of llama.cpp) move weights less at the same number of bits.
"""

from __future__ import annotations

import torch

BLOCK = 32
"""Weights that share a scale."""


def round_to(weight: torch.Tensor, bits: int) -> torch.Tensor:
    """The weights after rounding, in their own number format; what is no matrix stays as it is.

    Each block has the levels -m..m times its scale, m = 2^(bits - 1) - 1, so that its largest weight is a level.
    """
    if weight.dim() != 2 or not weight.is_floating_point():
        return weight
    most = 2 ** (bits - 1) - 1
    rows, width = weight.shape
    padded = torch.nn.functional.pad(weight.float(), (0, -width % BLOCK)).reshape(rows, -1, BLOCK)
    scale = padded.abs().amax(-1, keepdim=True) / most
    levels = torch.where(scale > 0, padded / scale, 0.0).round()
    rounded: torch.Tensor = (levels * scale).reshape(rows, -1)[:, :width].to(weight.dtype)
    return rounded
