"""Defaults of the command line: `mwe.toml` here or in the user's configuration, then `MWE_…` variables, then flags.

A key of an API in the environment changes no default: only these settings do.
"""

from __future__ import annotations

import importlib.util
import os
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field, ValidationError

from pipeline.errors import UsageError
from pipeline.prices import OwnPrice
from pipeline.schema import Record

_TABLES = {"prices", "limits"}
"""Settings that only a file can hold."""


class Limits(Record):
    """How fast one server is asked."""

    max_connections: int | None = Field(default=None, ge=1)
    """Most requests in flight at once."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Of prompts and answers together; counted in advance by a rough estimate, afterwards as the server says."""


class Settings(Record):
    """What `mwe.toml` may hold; each name in capitals after `MWE_` is the variable that overrides it."""

    model: str = "local/Qwen2.5-Coder-1.5B-Instruct"
    """The generator."""
    judge: str = "local/Qwen2.5-Coder-1.5B-Instruct"
    embedder: str | None = "local/all-MiniLM-L6-v2"
    """Sentence embeddings of the relevance filter; "none" leaves relevance to the judge alone."""
    reward_model: str | None = None
    """A model that rewards replies, for filters that judge by one; none if absent."""
    generated: str = "generated"
    """Folder of the datasets."""
    ladder: str = "embedded"
    n: int = 200
    seed: int = 0
    samples: int = Field(default=5, ge=1, le=100)
    """Draws for one choice where a model gives no probabilities (Anthropic, models that think)."""
    budget: float | None = Field(default=None, ge=0)
    """US dollars that one command may spend on models; no limit if absent."""
    calls: int | None = Field(default=None, ge=0)
    """Calls that one command may make to models; no limit if absent."""
    candidates: int | None = Field(default=None, ge=2)
    """Candidates that are written for a dataset at the most; absent, 20 per item and more where few are wanted."""
    revise: int = Field(default=0, ge=0, le=4)
    """Rounds of critique and revision of what filters turned down."""
    prices: dict[str, OwnPrice] = Field(default_factory=dict)
    """Prices that the table does not know: a table `[prices."provider/name"]` with `input` and `output` in US dollars
    a million tokens. Names may hold `*`."""

    batch: bool = False
    """Ask models of APIs through their batch APIs: half the price, answers within a day."""
    max_connections: int = Field(default=100, ge=1)
    """Most requests in flight at once, per model; fewer where the server asks for fewer."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Limits per model behind a server; none if absent."""
    limits: dict[str, Limits] = Field(default_factory=dict)
    """Other limits for some models: a table `[limits."provider/name"]` with any of the three. Names may hold `*`."""

    def limits_of(self, name: str, max_connections: int | None = None) -> Limits:
        """The limits for a model: `max_connections` as given, else its own or its first pattern's, else the general."""
        fitting = (limits for pattern, limits in self.limits.items() if fnmatchcase(name, pattern))
        own = self.limits.get(name) or next(fitting, Limits())
        return Limits(
            max_connections=max_connections or own.max_connections or self.max_connections,
            requests_per_minute=own.requests_per_minute or self.requests_per_minute,
            tokens_per_minute=own.tokens_per_minute or self.tokens_per_minute,
        )


def user_file() -> Path:
    """The settings file of the user, used where the current folder has none."""
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "mwe" / "mwe.toml"


def settings_file() -> Path | None:
    """The settings file in force: the one in the current folder, else the user's, or None."""
    return next((path for path in (Path("mwe.toml"), user_file()) if path.is_file()), None)


def read_settings() -> Settings:
    """The settings in force. Raises UsageError naming the file or variable that is wrong."""
    chosen: dict[str, object] = {}
    if path := settings_file():
        try:
            chosen = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"{path} cannot be read as TOML: {error}") from None
        _check(chosen, str(path))
    variables = {
        name: os.environ[f"MWE_{name.upper()}"]
        for name in Settings.model_fields
        if name not in _TABLES and os.environ.get(f"MWE_{name.upper()}")
    }
    settings = _check({**chosen, **variables}, "the MWE_ variables")
    if settings.embedder == "none" or (settings.embedder == Settings().embedder and not has_local_extra()):
        return settings.model_copy(update={"embedder": None})
    return settings


def has_local_extra() -> bool:
    """Whether models can run in this process."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "transformers", "safetensors"))


def _check(values: dict[str, object], source: str) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{source}: {where}: {first['msg']}; known are {', '.join(Settings.model_fields)}") from None
