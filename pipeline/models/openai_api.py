"""`openai-api/NAME/MODEL`: any server that speaks the OpenAI protocol (vLLM, llama.cpp, Ollama, OpenRouter…).

NAME_BASE_URL says where it is, NAME_API_KEY holds its key (not needed for a server on this machine), and NAME_API is
`chat` (the default) or `completions`, which shows the model the dialog in the Human/Assistant form: for base models.
NAME_PREFILL=1 says that the server goes on from a last turn of the assistant (vLLM, llama.cpp, OpenRouter for most
models); without it such a turn becomes an instruction, since a server that answers it would not say so.
NAME_BATCH=1 says that the server has OpenAI's batch API, which --batch then uses.
In the variables NAME is in capitals with underscores for dashes.
"""

from __future__ import annotations

import re

from pipeline.errors import ModelUnavailable, UsageError
from pipeline.models._api import Note, checked_url, setting
from pipeline.models._openai import OpenAiProvider


def connect(name: str, note: Note | None = None) -> OpenAiProvider:
    """The provider of `openai-api/SERVER/MODEL`, where `name` is `SERVER/MODEL`.

    Raises UsageError for a name without a server, an unknown NAME_API or NAME_PREFILL, ModelUnavailable without a
    NAME_BASE_URL.
    """
    server, _, model = name.partition("/")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", server) or not model.strip():
        raise UsageError(f"openai-api/{name[:60]} is no fit name: openai-api/SERVER/MODEL is expected")
    prefix = server.upper().replace("-", "_")
    url = setting(f"{prefix}_BASE_URL")
    if not url:
        raise ModelUnavailable(
            f"openai-api/{name} needs {prefix}_BASE_URL, the server's address such as http://127.0.0.1:8000/v1, "
            "in the environment or in a .env file."
        )
    api = (setting(f"{prefix}_API") or "chat").lower()
    if api not in {"chat", "completions"}:
        raise UsageError(f"{prefix}_API is {api[:40]!r}; chat or completions is expected")
    return OpenAiProvider(
        name=f"openai-api/{name}",
        model=model,
        base_url=checked_url(url, f"{prefix}_BASE_URL"),
        key_variable=f"{prefix}_API_KEY",
        note=note or (lambda text: None),
        api="completions" if api == "completions" else "chat",
        prefills=_switch(f"{prefix}_PREFILL"),
        batch_setting="" if _switch(f"{prefix}_BATCH") else f"{prefix}_BATCH",
    )


def _switch(variable: str) -> bool:
    value = (setting(variable) or "0").lower()
    if value not in {"0", "1", "no", "yes", "false", "true", "off", "on"}:
        raise UsageError(f"{variable} is {value[:40]!r}; 0 or 1 is expected")
    return value in {"1", "yes", "true", "on"}
