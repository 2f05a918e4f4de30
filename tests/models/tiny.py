"""Tiny random models on disk, with a tokenizer of single characters and a few words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CHAT = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)

_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
}


def write_model(folder: Path, kind: str, template: str | None = CHAT, **settings: Any) -> Path:
    """A random model of `kind` (llama, qwen2, qwen3, gpt2, bert) with seed 0, in float32.

    With "-reward" behind the kind (or deberta-v2, roberta) it is a sequence classifier, with one output unless
    `num_labels` says otherwise.
    """
    import torch
    import transformers as t

    size = write_tokenizer(folder, template)
    ends = {"vocab_size": size, "eos_token_id": 0, "bos_token_id": 0, "pad_token_id": 0}
    grouped = {**_SIZES, "num_key_value_heads": 2, **ends, **settings}
    torch.manual_seed(0)
    builders = {
        "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**grouped)),
        "qwen2": lambda: t.Qwen2ForCausalLM(t.Qwen2Config(**grouped)),
        "qwen3": lambda: t.Qwen3ForCausalLM(t.Qwen3Config(**{**grouped, "head_dim": 16})),
        "gpt2": lambda: t.GPT2LMHeadModel(t.GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=512, **ends)),
        "bert": lambda: t.BertModel(t.BertConfig(**{**_SIZES, **ends, **settings})),
    }
    model = _classifier(kind.removesuffix("-reward"), grouped) if kind.endswith("-reward") else builders[kind]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    return folder


def _classifier(kind: str, settings: dict[str, Any]) -> Any:
    import transformers as t

    config = t.CONFIG_MAPPING[kind](**{"num_labels": 1, "type_vocab_size": 2, **settings})
    return t.AutoModelForSequenceClassification.from_config(config)


def write_tokenizer(folder: Path, template: str | None) -> int:
    """Write tokenizer files and give the size of the vocabulary."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    folder.mkdir(parents=True, exist_ok=True)
    words = ["<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "?"]
    words += [" Yes", "Yes", " No", "No", " Human:", *map(chr, range(33, 63)), *map(chr, range(64, 127)), " ", "\n"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r" ?Yes| ?No| Human:|[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(words[:4])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>", "unk_token": "?"}
    if template:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return len(words)
