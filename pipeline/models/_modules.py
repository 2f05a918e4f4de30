"""Any causal language model of `transformers`, run through its own modules: the path for unusual architectures.

The group's common prefix is computed once and its cache handed to all rows; rows are padded on the left.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.cache_utils import DynamicCache

from pipeline.errors import ModelUnavailable
from pipeline.models._prefixes import longest_common_prefix
from pipeline.models._rounding import round_to
from pipeline.models._work import Question, Tokens

_ROWS = 32
"""Rows of one forward pass."""

Tensor = torch.Tensor


def load_modules(folder: Path, device: str, dtype: str, bits: int | None = None) -> Modules:
    """The model in `folder` with its `transformers` code, its matrices rounded to `bits` if that is given.

    Raises ModelUnavailable where there is none for it.
    """
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
    except (ValueError, OSError, KeyError) as error:
        raise ModelUnavailable(f"transformers cannot load the model in {folder}: {error}") from error
    if bits:
        with torch.no_grad():
            for weight in model.parameters():
                weight.copy_(round_to(weight, bits))
    return Modules(model.to(device).eval())


class Modules:
    """A Network on top of a `transformers` model."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.depth = int(model.config.num_hidden_layers)
        self.context = int(getattr(model.config, "max_position_embeddings", None) or 2**31)

    @torch.inference_mode()
    def score(self, questions: Sequence[Question], layer: int | None = None) -> tuple[list[list[float]], Any]:
        """Natural-log probability of each option, and each prompt's state after a layer.

        A row an option, `_ROWS` rows a pass, sorted by length.
        """
        rows = [(i, j, q.prompt, option) for i, q in enumerate(questions) for j, option in enumerate(q.options)]
        rows.sort(key=lambda row: len(row[2]) + len(row[3]))
        shared = min(longest_common_prefix([q.prompt for q in questions]), min(len(q.prompt) for q in questions) - 1)
        cache = self._prefix(rows[0][2][:shared])
        scores = [[0.0] * len(question.options) for question in questions]
        states: list[Any] = [None] * len(questions)
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            own: list[tuple[Tokens, Tokens]] = [(prompt[shared:], option) for _, _, prompt, option in part]
            for (i, j, _, _), (value, state) in zip(part, self._score_rows(own, cache, shared, layer), strict=True):
                scores[i][j], states[i] = value, state
        return scores, None if layer is None else torch.stack(states).float().cpu().numpy()

    def _score_rows(
        self, rows: list[tuple[Tokens, Tokens]], cache: Any, shared: int, layer: int | None
    ) -> list[tuple[float, Any]]:
        longest = max(len(option) for _, option in rows)
        ids, mask = self._left_padded([(*prompt, *option[:-1]) for prompt, option in rows], shared)
        result = self._forward(ids, mask, _expanded(cache, len(rows)), logits_to_keep=longest, states=layer is not None)
        logits = result.logits.float()
        sums = []
        for row, (_, option) in enumerate(rows):
            log_p = logits[row, longest - len(option) :].log_softmax(-1)
            state = None if layer is None else result.hidden_states[layer][row, -len(option)].clone()
            sums.append((float(log_p.gather(-1, self._tensor(option)[:, None]).sum()), state))
        return sums

    @torch.inference_mode()
    def start(self, prompts: Sequence[Tokens], owners: Sequence[int], room: int) -> ModulesDecoder:
        """Compute each prompt once, then copy its cache to the rows that continue it."""
        shared = min(longest_common_prefix(prompts), min(map(len, prompts)) - 1)
        ids, mask = self._left_padded([prompt[shared:] for prompt in prompts], shared)
        cache = _expanded(self._prefix(prompts[0][:shared]), len(prompts))
        result = self._forward(ids, mask, cache, logits_to_keep=1)
        rows = self._tensor(owners)
        result.past_key_values.batch_select_indices(rows)
        return ModulesDecoder(self._forward, result.past_key_values, mask[rows], result.logits[rows, -1])

    def _prefix(self, tokens: Tokens) -> Any:
        if not tokens:
            return None
        ids = self._tensor([tokens])
        return self._model(
            input_ids=ids, past_key_values=DynamicCache(), use_cache=True, logits_to_keep=1
        ).past_key_values

    def _forward(self, ids: Tensor, mask: Tensor, cache: Any, logits_to_keep: int, states: bool = False) -> Any:
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        return self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=logits_to_keep,
            output_hidden_states=states,
        )

    def _left_padded(self, rows: Sequence[Tokens], shared: int) -> tuple[Tensor, Tensor]:
        width = max(map(len, rows))
        ids = self._tensor([[0] * (width - len(row)) + list(row) for row in rows])
        mask = self._tensor([[1] * shared + [0] * (width - len(row)) + [1] * len(row) for row in rows])
        return ids, mask

    def _tensor(self, values: Any) -> Tensor:
        return torch.tensor([list(v) if isinstance(v, tuple) else v for v in values], device=self._model.device)


class ModulesDecoder:
    """A Decoder whose cache is that of `transformers`."""

    def __init__(self, forward: Any, cache: Any, mask: Tensor, logits: Tensor) -> None:
        self._forward = forward
        self._cache = cache
        self._mask = mask
        self.logits = logits

    @torch.inference_mode()
    def step(self, tokens: Tensor) -> None:
        """Append one token a row."""
        self._mask = torch.cat([self._mask, torch.ones_like(self._mask[:, :1])], dim=-1)
        result = self._forward(tokens[:, None], self._mask, self._cache, logits_to_keep=1)
        self.logits = result.logits[:, -1]

    @torch.inference_mode()
    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these."""
        self._cache.batch_select_indices(rows)
        self._mask = self._mask[rows]
        self.logits = self.logits[rows]


def _expanded(cache: Any, rows: int) -> Any:
    """A copy of a one-row cache for `rows` rows, since a forward pass writes into the cache it is given."""
    cache = DynamicCache() if cache is None else copy.deepcopy(cache)
    if cache.get_seq_length():
        cache.batch_repeat_interleave(rows)
    return cache
