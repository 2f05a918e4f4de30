"""Llama-like networks (Llama, Mistral, Qwen2, Qwen3) without the module machinery of `transformers`.

Tokens of all rows stand packed behind one another, without padding. Beginnings that rows share are computed once and
read by all of them. Numbers are those of the `transformers` modules up to rounding; a test compares them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from pipeline.errors import ModelUnavailable
from pipeline.models._checkpoint import read_config, tensor_shapes, weight_files
from pipeline.models._growing import LeanDecoder
from pipeline.models._layers import Heads, Layer, Linear, RmsNorm, Rotary, build_layer
from pipeline.models._reading import Reader, Tap
from pipeline.models._rounding import round_to
from pipeline.models._work import Question, Tokens

ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")

_TENSOR = re.compile(
    r"(lm_head|model\.norm|model\.embed_tokens)\.weight"
    r"|model\.layers\.\d+\.(input_layernorm|post_attention_layernorm|self_attn\.[qk]_norm)\.weight"
    r"|model\.layers\.\d+\.(self_attn\.[qkvo]_proj\.(weight|bias)|mlp\.(gate|up|down)_proj\.(weight|bias))"
    r"|.*\.inv_freq"
)
"""What this module knows to compute with; a model that holds anything else is left to `transformers`."""
_STATES = 64
"""Positions whose probabilities over the vocabulary are held at a time."""

Tensor = torch.Tensor


def is_lean(folder: Path) -> bool:
    """Whether this module computes what the model in `folder` needs."""
    config = read_config(folder)
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    return (
        config.get("architectures", [None])[0] in ARCHITECTURES
        and config.get("hidden_act", "silu") == "silu"
        and rope.get("rope_type", rope.get("type", "default")) in ("default", "linear", "llama3")
        and not (config.get("sliding_window") and config.get("use_sliding_window", True))
        and "quantization_config" not in config
        and config.get("pretraining_tp", 1) == 1
        and all(_TENSOR.fullmatch(name) for name in tensor_shapes(folder))
    )


class Lean:
    """A Network of packed weights."""

    def __init__(self, config: Any, tensors: dict[str, Tensor]) -> None:
        self.context = int(config.max_position_embeddings)
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.heads = Heads(config.num_attention_heads, config.num_key_value_heads, size)
        self._embedding = tensors.pop("model.embed_tokens.weight")
        self.device, self.dtype = self._embedding.device, self._embedding.dtype
        self._rotary = _rotary(config, self.device, self.dtype)
        self._head_rows = tensors.pop("lm_head.weight", self._embedding)
        if config.tie_word_embeddings:
            self._head_rows = self._embedding
        self.head = Linear(self._head_rows)
        self._norm = RmsNorm(tensors.pop("model.norm.weight"), config.rms_norm_eps)
        self.layers: list[Layer] = [
            build_layer(lambda name, i=i: tensors.pop(f"model.layers.{i}.{name}", None), config.rms_norm_eps)  # type: ignore[misc]
            for i in range(config.num_hidden_layers)
        ]
        self.depth = len(self.layers)

    # Passes

    def hidden(self, tokens: Tensor, positions: Tensor, attention: Any, tap: Tap | None = None) -> Tensor:
        """States before the last norm, (tokens, width); `attention(layer, query, key, value)` mixes tokens."""
        x = self._embedding[tokens]
        table = self._rotary.table(positions)
        for number, layer in enumerate(self.layers):
            x = layer(x, self.heads, table, lambda q, k, v, n=number: attention(n, q, k, v))
            if tap is not None and tap.layer == number + 1:
                tap.states = x
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """(rows, vocabulary), in the network's number format."""
        return self.head(self._norm(hidden))

    # Scoring

    @torch.inference_mode()
    def score(self, questions: Sequence[Question], layer: int | None = None) -> tuple[list[list[float]], Any]:
        """Natural-log probability of each option, the sum over its tokens, and each prompt's state after a layer."""
        rows = [question.prompt for question in questions]
        forks = [tuple(len(o) - 1 for o in q.options if len(o) > 1) for q in questions]
        tails = [[token for o in q.options for token in o[:-1]] for q in questions]
        reader = Reader(self, rows, forks, tails, tap=None if layer is None else Tap(layer))
        states = reader.read()
        scores = []
        log_p = self._log_probabilities(
            torch.cat(states),
            [targets for question in questions for targets in _targets(question)],
        )
        for question in questions:
            first = next(log_p)
            rest = [next(log_p) for option in question.options for _ in option[1:]]
            scores.append(_sums(question, first, rest))
        return scores, None if layer is None else torch.stack(reader.tapped).float().cpu().numpy()

    def _log_probabilities(self, hidden: Tensor, targets: list[list[int]]) -> Any:
        """Yields, for every state, the natural-log probabilities of its target tokens."""
        for start in range(0, len(targets), _STATES):
            part = targets[start : start + _STATES]
            state = self._norm(hidden[start : start + _STATES])
            width = max(map(len, part))
            ids = torch.tensor([row + row[:1] * (width - len(row)) for row in part], device=self.device)
            logits = self.head(state).float()
            # bfloat16 steps by up to .06 at the size of logits: those that matter are computed again in float32.
            sharp = torch.cat([ids, logits.argmax(-1, keepdim=True)], 1)
            exact = torch.einsum("nkd,nd->nk", self._head_rows[sharp].float(), state.float())
            logits.scatter_(1, sharp, exact)
            values = (exact[:, :-1] - logits.logsumexp(-1, keepdim=True)).tolist()
            yield from (row[: len(wanted)] for row, wanted in zip(values, part, strict=True))

    # Decoding

    @torch.inference_mode()
    def start(self, prompts: Sequence[Tokens], owners: Sequence[int], room: int) -> LeanDecoder:
        """A decoder whose rows continue `prompts[owner]`; each prompt is read once."""
        reader = Reader(
            self, prompts, [()] * len(prompts), [[]] * len(prompts), uses=[owners.count(i) for i in range(len(prompts))]
        )
        states = torch.cat(reader.read())
        return LeanDecoder(self, reader, states, owners, [len(prompt) for prompt in prompts])


def load_lean(folder: Path, device: str, dtype: str, bits: int | None = None) -> Lean:
    """The network in `folder`, its matrices rounded to `bits` if that is given.

    Raises ModelUnavailable where its tensors are not those of its architecture.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    tensors: dict[str, Tensor] = {}
    for path in weight_files(folder):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                tensor = file.get_tensor(name).to(device, getattr(torch, dtype))
                tensor = round_to(tensor, bits) if bits else tensor
                # A tensor that is kept as it is would keep the whole file mapped; the others are packed into copies.
                tensors[name] = tensor if name.endswith("_proj.weight") else tensor.clone()
    try:
        return Lean(config, tensors)
    except (KeyError, RuntimeError) as error:
        raise ModelUnavailable(f"The weights in {folder} do not fit its config.json: {error}") from error


def _rotary(config: Any, device: torch.device, dtype: torch.dtype) -> Rotary:
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    embedding = LlamaRotaryEmbedding(config=config)
    return Rotary(embedding.inv_freq.to(device), float(embedding.attention_scaling), dtype)


def _targets(question: Question) -> list[list[int]]:
    """Per state of a question, the tokens whose probability is wanted."""
    return [[o[0] for o in question.options], *([token] for o in question.options for token in o[1:])]


def _sums(question: Question, first: list[float], rest: list[list[float]]) -> list[float]:
    following = iter(rest)
    return [first[i] + sum(next(following)[0] for _ in option[1:]) for i, option in enumerate(question.options)]
