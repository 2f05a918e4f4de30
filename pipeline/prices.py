"""What models cost: from genai-prices, a maintained table that comes as a package, or as the user says.

Nothing is fetched: the table is as old as the installed package, and its date is shown with every figure.
A price that is not known stays unknown (None); it is never taken for zero.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from pydantic import Field

from pipeline.errors import UsageError
from pipeline.schema import Record

IN_PROCESS = ("local/", "hf/", "rounded/")
"""Providers whose models run in this process."""

LOCAL = (*IN_PROCESS, "fake/")
"""Providers whose calls cost nothing, unless the user gives a price."""

BATCH_SHARE = 0.5
"""What the batch APIs of OpenAI and Anthropic charge, as a share of the live price."""
_HALVED = ("openai/", "anthropic/")
_BATCH = {"processing": "batch"}
_TOKENS = 1_000
"""Prices are read off for a call of this size, since some models charge more for very long prompts."""


class OwnPrice(Record):
    """A price from `mwe.toml` or `--price`: US dollars a million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


@dataclass(frozen=True)
class Price:
    """What a model charges, in US dollars a million tokens."""

    input: float
    output: float
    source: str
    """Where it comes from, with the date of a table."""
    batch_share: float = 1.0
    """What a batch API charges, as a share of this price."""

    @property
    def is_free(self) -> bool:
        """Nothing is charged."""
        return self.input == 0 == self.output

    def cost(self, tokens_in: float, tokens_out: float) -> float:
        """US dollars for so many tokens."""
        return (self.input * tokens_in + self.output * tokens_out) / 1e6


FREE = Price(0.0, 0.0, "runs here")


def price_of(name: str, identity: Mapping[str, Any], own: Mapping[str, OwnPrice] | None = None) -> Price | None:
    """The price of the model `name` (`provider/name`), or None where it is not known.

    `identity` is the provider's: its `model` and `base_url` are looked up, so that a server of one's own behind
    OPENAI_BASE_URL is not taken for OpenAI. `own` prices come first; their names may hold `*`.
    """
    given = _own(name, own or {})
    if given is not None:
        return Price(given.input, given.output, "given by you", BATCH_SHARE if name.startswith(_HALVED) else 1.0)
    if name.startswith(LOCAL):
        return FREE
    url, model = identity.get("base_url"), identity.get("model")
    return _listed(str(model), str(url)) if url and model else None


def _own(name: str, own: Mapping[str, OwnPrice]) -> OwnPrice | None:
    """The exact name, else the first pattern that fits."""
    return own.get(name) or next((price for pattern, price in own.items() if fnmatchcase(name, pattern)), None)


@cache
def _listed(model: str, url: str) -> Price | None:
    from genai_prices import Usage
    from genai_prices.data_snapshot import get_snapshot

    usage = Usage(input_tokens=_TOKENS, output_tokens=_TOKENS)
    try:
        live, batch = (get_snapshot().calc(usage, model, None, url, None, each) for each in (None, _BATCH))
    except LookupError:
        return None
    scale = 1e6 / _TOKENS
    share = float(batch.total_price / live.total_price) if live.total_price else 1.0
    return Price(float(live.input_price) * scale, float(live.output_price) * scale, table(), share)


@cache
def table() -> str:
    """The table's name, version and the newest date that stands in it."""
    from importlib.metadata import version

    return f"genai-prices {version('genai-prices')}, newest entry {_newest_date().isoformat()}"


def _newest_date() -> datetime.date:
    """The latest day, up to today, on which a price in the table starts or was checked."""
    from genai_prices.data_snapshot import get_snapshot

    days: list[datetime.date] = []
    for provider in get_snapshot().providers:
        for model in provider.models:
            priced = model.prices if isinstance(model.prices, list) else []
            starts = [getattr(each.constraint, "start_date", None) for each in (*priced, *(model.price_variants or ()))]
            days += [day for day in starts if day is not None]
    today = datetime.datetime.now(tz=datetime.UTC).date()
    return max(day for day in days if day <= today)


def read_price(text: str) -> tuple[str, OwnPrice]:
    """`NAME=INPUT,OUTPUT` of the command line, in US dollars a million tokens. Raises UsageError for anything else."""
    found = re.fullmatch(r"([^=\s]+/[^=]+)=(\d+(?:\.\d*)?|\.\d+),(\d+(?:\.\d*)?|\.\d+)", text.strip())
    if found is None:
        raise UsageError(
            f"{text!r} is no price; expected NAME=INPUT,OUTPUT in US dollars a million tokens, "
            "such as openai-api/vllm/llama=0.1,0.4"
        )
    return found[1], OwnPrice(input=float(found[2]), output=float(found[3]))
