"""The local engine's front: token ids in, numbers and token ids out. The only door to everything that imports torch.

`load` gives an Engine; its verbs take one group of work, which they compute as a whole: `score` (log-probabilities of
options), `generate` (sampled continuations), `embed` (unit vectors) and `reward` (one number a dialog).
What comes out depends on the group, the weights, the device and the number format, and on nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import MissingExtra, ModelError, ModelUnavailable, TooLong, Unsupported
from pipeline.models._checkpoint import check_folder, read_config, weight_bytes
from pipeline.models._controls import Controls, Prompt, control_words
from pipeline.models._memory import available_memory
from pipeline.models._work import Job, Question, Row, Text, Tokens
from pipeline.schema import ModelKind

NAME = "mwe-torch"
VERSION = 1
"""Raised when the numbers change; part of every call's key."""


class Engine:
    """A loaded model with its tokenizer."""

    def __init__(self, network: Any, tokenizer: Any, ends: frozenset[int]) -> None:
        self._network = network
        self._tokenizer = tokenizer
        self._ends = ends

    def encode(self, text: str, special: bool) -> tuple[int, ...]:
        """Token ids; `special` adds what the tokenizer puts around a plain text, such as a start token."""
        return tuple(self._tokenizer(text, add_special_tokens=special)["input_ids"])

    def encode_pieces(self, prompt: Prompt, special: bool) -> tuple[int, ...]:
        """Token ids of a text whose pieces are tokenised apart."""
        first, *others = prompt.pieces
        tokens = self.encode(first, special)
        if not others:
            return tokens
        plain = self.encode(first, special=False)
        added = len(tokens) - len(plain)
        end = next((i for i in range(added + 1) if tokens[i : i + len(plain)] == plain), added) + len(plain)
        rest = (token for piece in others for token in self.encode(piece, special=False))
        return (*tokens[:end], *rest, *tokens[end:])

    def encode_text(self, text: str) -> tuple[int, ...]:
        """Token ids of a plain text with what the tokenizer puts around it; a special token in it is text, too."""
        return tuple(self._tokenizer(text, split_special_tokens=True)["input_ids"])

    @cached_property
    def controls(self) -> Controls:
        """What the tokenizer takes for control tokens wherever it stands."""
        return Controls(frozenset(control_words(self._tokenizer.added_tokens_decoder)))

    def encode_pair(self, first: str, second: str) -> Row:
        """Two texts as the tokenizer joins them; the second begins a segment of its own where the model knows any.

        A special token in them is read as plain text.
        """
        joined = self._tokenizer(first, second, split_special_tokens=True)
        return Row(tuple(joined["input_ids"]), tuple(joined.get("token_type_ids", ())))

    def room(self) -> int:
        """Most tokens that the model reads at once."""
        # Tokenizers that know no limit of their own name an astronomic one.
        return min(int(self._network.context), int(self._tokenizer.model_max_length))

    def score(self, questions: Sequence[Question], layer: int | None = None) -> tuple[list[list[float]], Any]:
        """Natural-log probability of each option after its prompt, the full sum over its tokens.

        With `layer` also the state of each prompt's last token after that many layers, (questions, width), else None.
        Raises Unsupported where the model has fewer layers.
        """
        for question in questions:
            self._check_length(len(question.prompt) + max(map(len, question.options)))
        if layer is not None and not 1 <= layer < self._network.depth:
            raise Unsupported(
                f"The model has {self._network.depth} layers; a state is there after 1 or more but the last."
            )
        scored: tuple[list[list[float]], Any] = self._network.score(questions, layer)
        return scored

    def generate(self, jobs: Sequence[Job]) -> list[Text]:
        """One sampled continuation a job."""
        from pipeline.models._decode import decode

        for job in jobs:
            self._check_length(max(len(job.prompt), len(job.contrast)) + 1)
        return decode(self._network, self._tokenizer, self._ends, jobs)

    def embed(self, rows: Sequence[Tokens]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Unit vectors, shape (rows, d): the mean over the tokens, as sentence-transformers computes it."""
        from pipeline.models._embed import embed

        return embed(self._network, rows)

    def reward(self, rows: Sequence[Row]) -> list[float]:
        """One number a row; only of a reward model, and of rows that fit its `room`."""
        rewards: list[float] = self._network.reward(rows)
        return rewards

    def _check_length(self, tokens: int) -> None:
        if tokens > self._network.context:
            raise TooLong(
                f"A prompt of {tokens:,} tokens is longer than the model's context of {self._network.context:,} tokens."
            )


def load(folder: Path, device: str, dtype: str, kind: ModelKind = "chat", bits: int | None = None) -> Engine:
    """Load weights and tokenizer of a model folder; with `bits` a language model's matrices are rounded to as many.

    Raises MissingExtra without torch and transformers, ModelUnavailable where files or memory are missing.
    """
    check_folder(folder)
    _require_extra()
    _check_device(device)
    _check_memory(folder, dtype, device)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return Engine(_load_network(folder, device, dtype, kind, bits), tokenizer, _end_tokens(folder, tokenizer))


def _load_network(folder: Path, device: str, dtype: str, kind: ModelKind, bits: int | None) -> Any:
    if kind == "embedding":
        from pipeline.models._embed import load_encoder

        return load_encoder(folder, device)
    if kind == "reward":
        from pipeline.models._reward import load_classifier

        return load_classifier(folder, device, dtype)
    from pipeline.models._lean import is_lean, load_lean
    from pipeline.models._modules import load_modules

    return (load_lean if is_lean(folder) else load_modules)(folder, device, dtype, bits)


def _require_extra() -> None:
    # While another program takes a core, torch's threads spin for each other: a step was measured to cost twenty
    # times the processor time. Read once, when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import torch  # noqa: F401
        import transformers
    except ImportError as error:
        raise MissingExtra("a local model", "local") from error
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _check_device(device: str) -> None:
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[device]
    if not there:
        raise ModelUnavailable(f"torch cannot use {device} on this machine. Set MWE_DEVICE=cpu.")


def _check_memory(folder: Path, dtype: str, device: str) -> None:
    config = read_config(folder)
    stored = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    needed = weight_bytes(folder) * (2 if stored in ("bfloat16", "float16") and dtype == "float32" else 1)
    free = available_memory() if device == "cpu" else None
    if free is not None and needed > free:
        raise ModelUnavailable(
            f"The model needs {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free. "
            "Close other programs or choose a smaller model."
        )


def _end_tokens(folder: Path, tokenizer: Any) -> frozenset[int]:
    """Every token that ends a turn: the tokenizer's, and those the model's own generation settings name."""
    import json

    path = folder / "generation_config.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}.") from error
    ends = {tokenizer.eos_token_id}
    for named in (settings.get("eos_token_id"), read_config(folder).get("eos_token_id")):
        ends |= set(named) if isinstance(named, list) else {named}
    return frozenset(end for end in ends if end is not None)
