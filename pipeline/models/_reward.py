"""Rewards from a sequence classifier of `transformers` with one output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification

from pipeline.errors import ModelUnavailable
from pipeline.models._work import Row

_ROWS = 32
"""Rows of one forward pass at the most; dialogs are sorted by length, so that little of it is padding."""
_TOKENS = 8192
"""Tokens of one forward pass, padding included, unless a single row has more."""

_POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert", "mpnet")
"""Model types whose positions count from the padding token's id on, so that the table has fewer than its length."""


def load_classifier(folder: Path, device: str, dtype: str) -> Classifier:
    """The reward model in `folder`.

    Raises ModelUnavailable where transformers has no code for it, and where weights are missing that transformers
    would make up: the rewards of a head with random weights look like any others.
    """
    try:
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (ValueError, OSError, KeyError) as error:
        raise ModelUnavailable(f"transformers cannot load the reward model in {folder}: {error}") from error
    missing = sorted(loading["missing_keys"])
    if missing:
        raise ModelUnavailable(f"The weights in {folder} lack {', '.join(missing[:3])}: they are no reward model's.")
    return Classifier(model.to(device).eval())


class Classifier:
    """A network that gives one number a row."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._config = model.config.get_text_config()
        self.context = _context(self._config)
        _widen_head(model)

    @torch.inference_mode()
    def reward(self, rows: Sequence[Row]) -> list[float]:
        """One number a row, whatever rows stand beside it (but for the rounding of half precision)."""
        rewards = [0.0] * len(rows)
        for part in _passes([len(row.tokens) for row in rows]):
            for i, value in zip(part, self._forward([rows[i] for i in part]), strict=True):
                rewards[i] = value
        return rewards

    def _forward(self, rows: Sequence[Row]) -> list[float]:
        padding = self._padding(rows)
        width = max(len(row.tokens) for row in rows)
        inputs = {
            "input_ids": _padded([row.tokens for row in rows], width, padding),
            "attention_mask": _padded([[1] * len(row.tokens) for row in rows], width, 0),
        }
        if rows[0].segments:
            inputs["token_type_ids"] = _padded([row.segments for row in rows], width, 0)
        own, self._config.pad_token_id = self._config.pad_token_id, padding
        logits = self._model(**{name: value.to(self._model.device) for name, value in inputs.items()}).logits
        self._config.pad_token_id = own
        return [float(value) for value in logits[:, 0].float().cpu()]

    def _padding(self, rows: Sequence[Row]) -> int:
        """The token to pad with.

        Decoder classifiers read the last token that is not the padding's. A checkpoint that names its padding token
        was trained by that rule, also where it is the token that ends a turn. One that names none reads the last
        token: a padding token that stands in no row keeps that so.
        """
        if self._config.pad_token_id is not None:
            return int(self._config.pad_token_id)
        there = {token for row in rows for token in row.tokens}
        return next(token for token in range(len(there) + 1) if token not in there)


def _passes(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of the rows of each forward pass, short ones first."""
    part: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if part and (len(part) == _ROWS or lengths[i] * (len(part) + 1) > _TOKENS):
            yield part
            part = []
        part.append(i)
    if part:
        yield part


def _padded(rows: Sequence[Sequence[int]], width: int, value: int) -> torch.Tensor:
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])


def _context(config: Any) -> int:
    positions = int(getattr(config, "max_position_embeddings", None) or 2**31)
    taken = (config.pad_token_id or 0) + 1 if config.model_type in _POSITIONS_AFTER_PADDING else 0
    return positions - taken


def _widen_head(model: Any) -> None:
    """Compute the output layer in float32: bfloat16 would round a reward of 8 to the next sixteenth."""
    head = getattr(model, "score", None)
    if isinstance(head, torch.nn.Linear):
        head.float()
        head.register_forward_pre_hook(lambda _, hidden: (hidden[0].float(),))
