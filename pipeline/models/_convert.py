"""A GGUF file unpacked, once, to a folder that loads in seconds: bfloat16 safetensors, tokenizer, chat template.

What the GGUF loader of transformers leaves open is mended here:

- Weights stay packed, and slow on a CPU, unless `dequantize=True` is asked for.
- Qwen2.5 up to 3B ties output and input embeddings, but its GGUF files carry both, the output in higher precision
  (Q8_0 beside Q5_0, Q6_K beside Q4_K). They are the same matrix up to rounding (cosine .999 and .997), so the
  better one serves for both: 0.27 and 0.47 GB less to store and to read.
- SmolLM2's rule to take digits singly before anything else is lost: "a  5" is three tokens with it and four without.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline.errors import MissingExtra, ModelUnavailable

CONVERSION = 1
"""Raised when the same GGUF gives other numbers than before; part of the model's identity."""

PROBE = "  5 times\n\n12345, don't caf\u00e9 \u65e5\u672c <x>"
"""Spaces, digits, line breaks and bytes beyond ASCII: what goes wrong where a tokenizer was rebuilt badly."""

CHILD = "from pipeline.models._convert import convert_as_child; convert_as_child()"


def convert(source: Path, folder: Path, *, tied: bool, single_digits: bool) -> None:
    """Unpack the GGUF `source` into the existing empty `folder`, in a process of its own.

    In this process the work would leave 1-2 GB of allocations and transformers' progress bars behind.
    `tied` says that input and output embeddings are one matrix, whatever the file holds;
    `single_digits` that the tokenizer takes every digit by itself before it does anything else.

    Raises:
        MissingExtra: torch, transformers, safetensors or gguf are not installed.
        ModelUnavailable: the file gave no usable tokenizer or model, or there was too little memory.
        OSError: the disk is full or not writable.
    """
    require_local_extra()
    task = {"source": str(source), "folder": str(folder), "tied": tied, "single_digits": single_digits}
    # The hub has no say here: everything is in the file. The child finds the same packages as this process.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "HF_HUB_OFFLINE": "1"}
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=json.dumps(task | {"parent": os.getpid()}),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if child.returncode == 0:
        return
    if child.returncode < 0:
        raise ModelUnavailable(
            f"Unpacking {source.name} was ended by signal {-child.returncode}, most likely for want of memory; "
            "it needs about five times the size of the GGUF file."
        )
    failure = child.stderr.strip().splitlines()[-1:] or ["no message"]
    # The writer in Rust does not raise OSError for a full disk, but it says the number.
    if any(sign in failure[0] for sign in ("os error 28", "os error 27", "Errno 28", "Errno 27")):
        raise OSError(errno.ENOSPC, failure[0])
    raise ModelUnavailable(f"Unpacking {source.name} failed: {failure[0][:500]}")


def convert_as_child() -> None:
    """What the child process runs: one task, as JSON on its standard input."""
    task = json.load(sys.stdin)
    source, folder = Path(task["source"]), Path(task["folder"])
    tokenizer = _tokenizer(source, task["single_digits"])
    model = _model(source, tokenizer, task["tied"])
    # Where the parent was killed, nobody waits for the folder any more, and another process may be at work.
    # (On Windows the parent is the launcher of the virtual environment.)
    if sys.platform != "win32" and os.getppid() != task["parent"]:
        raise ModelUnavailable("the process that asked for it has ended")
    # One file: shards buy nothing when the model is in memory anyway.
    model.save_pretrained(folder, max_shard_size="100GB")
    tokenizer.save_pretrained(folder)


def require_local_extra() -> None:
    """Raises MissingExtra where the packages for local models are not all there."""
    if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers", "safetensors", "gguf")):
        raise MissingExtra("An embedded model", "local")


def _tokenizer(source: Path, single_digits: bool) -> Any:
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True)
    if single_digits:
        digits = pre_tokenizers.Digits(individual_digits=True)
        bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, bytes_])
    _expect(tokenizer)
    return tokenizer


def _expect(tokenizer: Any) -> None:
    """Raises ModelUnavailable where the rebuilt tokenizer is not what a chat model needs."""
    text, end = PROBE, tokenizer.eos_token
    problem = None
    if not tokenizer.chat_template:
        problem = "has no chat template"
    elif end is None or tokenizer(end).input_ids != [tokenizer.eos_token_id]:
        problem = "does not read its end token as one token"
    elif tokenizer.decode(tokenizer(text).input_ids) != text:
        problem = "does not give text back as it was"
    elif tokenizer("a").input_ids[0] == tokenizer.bos_token_id:
        problem = "puts a start token before every text"
    elif end not in tokenizer.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False):
        problem = "has a chat template that does not end its turns"
    if problem:
        raise ModelUnavailable(
            f"The tokenizer in the GGUF file {problem}; another version of transformers may read it."
        )


def _model(source: Path, tokenizer: Any, tied: bool) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
        local_files_only=True,
    )
    if tied:
        model.set_input_embeddings(_as_embedding(model.get_output_embeddings().weight))
        model.config.tie_word_embeddings = True
        model.tie_weights()
    model.config.name_or_path = ""
    tokenizer.model_max_length = model.config.max_position_embeddings
    # Instruct models end a turn with their end token, and now and then with the end of a document.
    ends = [tokenizer.eos_token_id, tokenizer.get_vocab().get("<|endoftext|>")]
    model.generation_config = GenerationConfig(
        bos_token_id=model.config.bos_token_id,
        eos_token_id=list(dict.fromkeys(end for end in ends if end is not None)),
        pad_token_id=model.config.pad_token_id,
    )
    return model


def _as_embedding(weight: Any) -> Any:
    import torch

    embedding = torch.nn.Embedding(weight.shape[0], weight.shape[1], device="meta")
    embedding.weight = weight
    return embedding
