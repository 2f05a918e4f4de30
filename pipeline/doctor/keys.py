"""Keys: which are there, where from, and whether they look like keys. No character of one is ever shown, nor how many.

A key that no default needs is no fault where it is missing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.doctor.finding import Finding, State
from pipeline.models._api import DOTENV_LINE, setting

HUB_KEY = "HF_TOKEN"
KEYS = {
    "ANTHROPIC_API_KEY": "anthropic/ models",
    "OPENAI_API_KEY": "openai/ models",
    HUB_KEY: "gated or private hf/ models",
}
"""Variable -> what it opens."""

_STARTS = {"ANTHROPIC_API_KEY": "sk-ant-", "OPENAI_API_KEY": "sk-", HUB_KEY: "hf_"}
_SPECIMEN = re.compile(r"your\b|<|\[|changeme|(sk-|hf_)?x{3}|(sk-)?\.\.\.|.*\byour[-_ ]?(api[-_ ]?)?key", re.I)
_BASE_URL = re.compile(r"([A-Z][A-Z0-9_]*)_BASE_URL")


def variables() -> set[str]:
    """Names that the environment or `.env` gives a value."""
    found = {match["name"] for line in _dotenv_lines() if (match := DOTENV_LINE.fullmatch(line))}
    return {name for name in found | set(os.environ) if setting(name)}


def server_names() -> list[str]:
    """NAME of every NAME_BASE_URL but those of Anthropic and OpenAI, sorted."""
    found = [match[1] for name in variables() if (match := _BASE_URL.fullmatch(name))]
    return sorted(set(found) - {"ANTHROPIC", "OPENAI"})


def key_findings(needed: Mapping[str, str]) -> Iterator[Finding]:
    """A finding for every key that mwe may use. `needed` maps a key's variable to the default that cannot do without.

    A key that is missing though needed is a fault of the model that needs it, and said there.
    """
    own = {f"{name}_API_KEY": f"openai-api/{name.lower()}/ models" for name in server_names()}
    for variable, use in (KEYS | own).items():
        key = setting(variable)
        if key is None:
            there = "there by the hub's own login" if variable == HUB_KEY and _is_logged_in() else "not set"
            yield Finding(subject=variable, state="ok", detail=f"{there} (for {use})")
            continue
        source = _source(variable)
        if fault := fault_of(variable, key):
            state: State = "broken" if variable in needed else "warn"
            advice = f"Copy the key for {use} again, as it is, without quotes or spaces."
            yield Finding(subject=variable, state=state, detail=f"{source}, but it {fault}", advice=advice)
        else:
            yield Finding(subject=variable, state="ok", detail=f"present, {source}")


def fault_of(variable: str, key: str) -> str | None:
    """What shows at sight that this is no key, without a character of it; None where nothing does."""
    if key[0] in "'\"" or key[-1] in "'\"":
        return "stands in quotes, which are part of the value here"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "holds characters that no key has"
    if _SPECIMEN.match(key):
        return "is a specimen such as documentation has, not a key"
    start = _STARTS.get(variable)
    is_own = not setting(variable.replace("_API_KEY", "_BASE_URL")) if variable != HUB_KEY else True
    if start and is_own and not key.startswith(start):
        return f"does not start with {start} as such keys do"
    other = next((name for name, begin in _STARTS.items() if len(begin) > 3 and key.startswith(begin)), variable)
    if other != variable and variable in _STARTS and is_own:
        return f"looks like one for {other}"
    return None


def dotenv_findings() -> Iterator[Finding]:
    """Lines of `.env` that set nothing; nothing at all where there is no such file."""
    path = Path(".env")
    if not path.exists():
        return
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        yield Finding(subject=".env", state="warn", detail=f"cannot be read: {reason}", advice="Save it as UTF-8 text.")
        return
    wrong = [number for number, line in enumerate(lines, 1) if _is_wrong(line)]
    if not wrong:
        yield Finding(subject=".env", state="ok", detail=f"{path.absolute()}, read where the environment has no value")
        return
    places = ", ".join(str(number) for number in wrong[:10]) + (" and more" if len(wrong) > 10 else "")
    yield Finding(
        subject=".env",
        state="warn",
        detail=f"{path.absolute()}: passed over {'line' if len(wrong) == 1 else 'lines'} {places}",
        advice='Write NAME=VALUE, the value bare or in one pair of quotes; a bare one has no spaces, quotes or "#".',
    )


def _dotenv_lines() -> list[str]:
    try:
        return Path(".env").read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _is_wrong(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#") and not DOTENV_LINE.fullmatch(line)


def _source(variable: str) -> str:
    if os.environ.get(variable, "").strip():
        in_file = any((m := DOTENV_LINE.fullmatch(line)) and m["name"] == variable for line in _dotenv_lines())
        return "from the environment" + (" (the one in .env is not used)" if in_file else "")
    return "from .env"


def _is_logged_in() -> bool:
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    try:
        return Path(os.environ.get("HF_TOKEN_PATH") or f"{home}/token").expanduser().is_file()
    except RuntimeError:
        # There is no home directory.
        return False
