"""What a model folder says of itself, read from its small files only: no weights, no torch, no transformers."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import struct
from pathlib import Path
from typing import Any

from pipeline.errors import ModelUnavailable, UsageError
from pipeline.models._rendering import Rendering, read_rendering
from pipeline.schema import ModelInfo, ModelKind

ENCODERS = (
    "albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "modernbert", "mpnet",
    "nomic_bert", "roberta", "xlm-roberta",
)  # fmt: skip
"""Values of `model_type` whose models read a text, or two, and write none: they give embeddings, or a reward."""

_CLASSIFIER = "ForSequenceClassification"

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json", "spiece.model")
_IDENTIFYING = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "chat_template.jinja",
    "chat_template.json",
)
_LARGEST_HEADER = 100_000_000


def read_config(folder: Path) -> dict[str, Any]:
    """The model's `config.json`. Raises UsageError where the folder is none of a model."""
    path = folder / "config.json"
    if not folder.is_dir():
        raise UsageError(f"There is no model folder {folder}. Give a folder with config.json, or a name ORG/NAME.")
    if not path.is_file():
        raise UsageError(f"{folder} has no config.json, so it is not a model folder.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}.") from error
    if not isinstance(config, dict):
        raise UsageError(f"{path} does not hold a JSON object.")
    return config


def weight_files(folder: Path) -> list[Path]:
    """The folder's safetensors files, sorted. Raises ModelUnavailable where there are none."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelUnavailable(
            f"{folder} has no .safetensors file. Other formats are not read, since they can hold code; "
            "convert the weights with save_pretrained first."
        )
    return files


def check_folder(folder: Path) -> None:
    """Raises where weights or tokenizer are missing, before anything heavy is imported."""
    read_config(folder)
    weight_files(folder)
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise ModelUnavailable(f"{folder} has no tokenizer ({', '.join(_TOKENIZERS[:3])}, …). Copy it there.")


def describe(name: str, folder: Path, revision: str | None = None) -> ModelInfo:
    """ModelInfo of a bare folder. `parameters` is counted from tensor shapes, tied matrices once.

    Of packed weights nothing can be counted: several of them share a number.
    """
    rendering, quantisation = read_rendering(folder), _quantisation(read_config(folder))
    return ModelInfo(
        name=name,
        family=_family(read_config(folder)),
        kind=kind_of(folder),
        parameters=None if quantisation else count_parameters(folder),
        quantisation=quantisation,
        revision=revision,
        rendering="chat" if rendering.template else "base",
        template_hash=rendering.template_hash,
        layers=count_layers(folder),
    )


def count_layers(folder: Path) -> int | None:
    """Number of a model's layers; None where its settings do not say."""
    config = read_config(folder)
    found = config.get("num_hidden_layers") or config.get("n_layer")
    return found if isinstance(found, int) else None


def _quantisation(config: dict[str, Any]) -> str | None:
    """How the weights are packed, such as "gptq 4 bit"; None where they are not."""
    settings = config.get("quantization_config")
    if not isinstance(settings, dict):
        return None
    bits = settings.get("bits") or (8 if settings.get("load_in_8bit") else 4 if settings.get("load_in_4bit") else None)
    method = str(settings.get("quant_method") or "quantised")
    return f"{method} {bits} bit" if isinstance(bits, int) else method


def _family(config: dict[str, Any]) -> str | None:
    return str(config.get("model_type") or "") or None


def kind_of(folder: Path) -> ModelKind:
    """What the model in a folder is for; a sequence classifier with one output is a reward model.

    Raises ModelUnavailable for a classifier with several outputs.
    """
    config = read_config(folder)
    if any(_CLASSIFIER in str(name) for name in config.get("architectures") or ()):
        outputs = len(config.get("id2label") or ()) or int(config.get("num_labels") or 2)
        if outputs != 1:
            raise ModelUnavailable(
                f"{folder} holds a classifier with {outputs} outputs. A reward model has one; no other is of use here."
            )
        return "reward"
    if _family(config) in ENCODERS:
        return "embedding"
    return "chat" if read_rendering(folder).template else "base"


def count_parameters(folder: Path) -> int:
    """Number of weights in the safetensors headers; an output matrix tied to the embedding is not counted twice."""
    shapes = tensor_shapes(folder)
    if read_config(folder).get("tie_word_embeddings"):
        shapes = {name: shape for name, shape in shapes.items() if not name.endswith("lm_head.weight")}
    return sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith("position_ids"))


def tensor_shapes(folder: Path) -> dict[str, list[int]]:
    """Name and shape of every tensor, from the headers of the weight files."""
    shapes: dict[str, list[int]] = {}
    for path in weight_files(folder):
        header = json.loads(read_header(path))
        shapes |= {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
    return shapes


def read_header(path: Path) -> bytes:
    """The JSON header of a safetensors file: names, dtypes, shapes and offsets of its tensors."""
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 0 < length <= min(_LARGEST_HEADER, path.stat().st_size):
            raise ModelUnavailable(f"{path} is not a whole safetensors file. Download it again.")
        return file.read(length)


def weight_bytes(folder: Path) -> int:
    """Size of all weight files."""
    return sum(path.stat().st_size for path in weight_files(folder))


def fingerprint_folder(folder: Path) -> str:
    """Hex SHA-256 over the small files and each weight file's header, size and a sample of its weights.

    Hashing all weights would take longer than the fast path it guards; a megabyte from both ends and the middle
    tells fine-tuned siblings apart.
    """
    stamps = tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in _parts(folder))
    return _fingerprint(folder, stamps)


@functools.lru_cache(maxsize=64)
def _fingerprint(folder: Path, _stamps: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path in _parts(folder):
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        if path.suffix == ".safetensors":
            digest.update(read_header(path))
            digest.update(_sample(path, size))
        else:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _sample(path: Path, size: int, length: int = 2**20) -> bytes:
    with path.open("rb") as file:
        starts = sorted({max(0, position) for position in (0, (size - length) // 2, size - length)})
        parts = []
        for start in starts:
            file.seek(start)
            parts.append(file.read(length))
    return b"".join(parts)


def _parts(folder: Path) -> list[Path]:
    small = [folder / name for name in _IDENTIFYING if (folder / name).is_file()]
    return small + weight_files(folder)


def rendering_of(folder: Path, info: ModelInfo) -> Rendering:
    """How to write dialogs for this model; an `info.rendering` other than "chat" overrules a template that is there."""
    if info.rendering != "chat":
        return Rendering(is_bare=info.rendering == "bare")
    return read_rendering(folder, info.thinking)
