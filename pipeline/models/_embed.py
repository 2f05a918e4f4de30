"""Sentence vectors from a BERT-like encoder: mean over the tokens, length one, always in float32."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel

from pipeline.errors import ModelUnavailable

_ROWS = 32
"""Rows of one forward pass; texts are sorted by length, so that little of it is padding."""


def load_encoder(folder: Path, device: str) -> Any:
    """The encoder in `folder`. Raises ModelUnavailable where transformers has no code for it."""
    try:
        model = AutoModel.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
    except (ValueError, OSError, KeyError) as error:
        raise ModelUnavailable(f"transformers cannot load the encoder in {folder}: {error}") from error
    return model.to(device).eval()


@torch.inference_mode()
def embed(model: Any, rows: Sequence[Sequence[int]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Unit vectors, shape (rows, d). Texts longer than the encoder's context are cut at its end."""
    context = int(model.config.max_position_embeddings)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    vectors = np.empty((len(rows), int(model.config.hidden_size)), dtype=np.float32)
    for start in range(0, len(order), _ROWS):
        part = order[start : start + _ROWS]
        vectors[part] = _mean_vectors(model, [list(rows[i])[:context] for i in part])
    return vectors


def _mean_vectors(model: Any, rows: list[list[int]]) -> Any:
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=model.device)
    hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    weights = mask[:, :, None].to(hidden.dtype)
    return torch.nn.functional.normalize((hidden * weights).sum(1) / weights.sum(1), dim=-1).cpu().numpy()
