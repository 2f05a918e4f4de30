"""A trained or calibrated preference model in a folder: `model.json`, written last, and `head.safetensors`.

The folder is made by `mwe screen --train` (pipeline/fitting.py) and read by `preference:by=trained,head=FOLDER`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import ValidationError

from filters._asking import SAY, ask, embedded, judge_of, would_say
from filters.preferences.language_model import is_statement
from pipeline.errors import UsageError
from pipeline.ports import Screening
from pipeline.schema import Behaviour, Item, Record
from pipeline.statistics.calibration import Calibration, Method

if TYPE_CHECKING:
    from numpy.typing import NDArray

CARD, HEAD = "model.json", "head.safetensors"

Features = Literal["states", "embeddings"]
"""`states`: what the judge holds before it answers. `embeddings`: sentence embeddings of description and statement."""


class SavedCalibration(Record):
    """A Calibration as it stands in the file."""

    method: Method
    slope: float
    zero: float
    knots: tuple[tuple[float, float], ...] = ()


class Threshold(Record):
    """From which probability on a share `precision` of the labels was right, on behaviours that were held out."""

    precision: float
    threshold: float | None
    """None: not even the surest labels were that often right."""
    recall: float | None


class Source(Record):
    """Items that it was fitted on."""

    dataset: str
    behaviour: str
    items: int
    group: int
    """Behaviours of a group are siblings; they were held out together."""
    sha256: str
    """Of the items' ids and labels."""


class SavedPreference(Record):
    """model.json: what a preference model is, what it was fitted on, and how well it does on behaviours held out."""

    format: Literal[1] = 1
    kind: str
    """`trained`, with a head; or the preference model whose log-odds are calibrated here."""
    options: dict[str, Any]
    judge: str | None
    """The model whose states or answers are read; None with embeddings."""
    embedder: str | None
    features: Features | None
    layer: int | None
    templates: dict[str, str]
    calibration: SavedCalibration
    thresholds: list[Threshold]
    evaluation: dict[str, float | None]
    labels: str
    """Where the labels came from: published, checked or feedback."""
    sources: list[Source]
    sha256: dict[str, str]
    program_version: str
    created_at: str

    @property
    def map(self) -> Calibration:
        """The calibration, to be applied to log-odds."""
        return Calibration(**self.calibration.model_dump())


class Head:
    """Bradley-Terry: the score of a reply is linear in frozen features, and two replies differ by weight @ x + bias."""

    def __init__(self, weight: NDArray[np.float32], bias: float) -> None:
        self.weight, self.bias = weight, bias

    def log_odds(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds of the first reply, shape (n,), from features of shape (n, d)."""
        odds: NDArray[np.float64] = features.astype(np.float64) @ self.weight.astype(np.float64) + self.bias
        return odds

    def to_bytes(self) -> bytes:
        """As safetensors."""
        from safetensors.numpy import save

        return bytes(save({"weight": self.weight.astype(np.float32), "bias": np.array([self.bias], dtype=np.float32)}))


def read(folder: Path) -> tuple[SavedPreference, Head | None]:
    """The preference model in a folder. Raises UsageError where there is none, or it is not whole."""
    if not (folder / CARD).is_file():
        raise UsageError(f"{folder} holds no preference model; `mwe screen DATASET --train {folder}` makes one")
    try:
        card = SavedPreference.model_validate_json((folder / CARD).read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{folder / CARD} cannot be read: {first['loc']}: {first['msg']}") from None
    if card.kind != "trained":
        return card, None
    content = (folder / HEAD).read_bytes() if (folder / HEAD).is_file() else b""
    if hashlib.sha256(content).hexdigest() != card.sha256.get(HEAD):
        raise UsageError(f"{folder / HEAD} is not the file that {CARD} was written for; train it anew")
    from safetensors.numpy import load

    tensors = load(content)
    return card, Head(tensors["weight"], float(tensors["bias"][0]))


def features(
    kind: Features, layer: int | None, asked: Sequence[tuple[Behaviour, Item]], screening: Screening
) -> NDArray[np.float32]:
    """What a head reads of each pair, shape (n, d).

    `states`: the judge's state after `layer` layers where it is about to answer whether such a one would say it.
    `embeddings`: of statement s and description d the products s * d and s itself, twice the embedder's width.
    Raises UsageError for items that are no statements, or where the models that are needed are not there.
    """
    if not all(is_statement(item) for _, item in asked):
        raise UsageError("a trained head judges statements; judge choices with preference:by=language_model")
    if kind == "states":
        return _states(layer, asked, screening)
    if screening.embedder is None:
        raise UsageError("the head reads sentence embeddings; set an `embedder` in mwe.toml")
    descriptions = embedded(screening.embedder, [behaviour.predicate for behaviour, _ in asked])
    statements = embedded(screening.embedder, [item.text for _, item in asked])
    return np.concatenate([statements * descriptions, statements], axis=1)


def _states(layer: int | None, asked: Sequence[tuple[Behaviour, Item]], screening: Screening) -> NDArray[np.float32]:
    judge = judge_of(screening)
    requests = [would_say(behaviour.phrase, item.text, SAY, layer) for behaviour, item in asked]
    states = [choice.hidden for choice in ask(judge, requests)]
    if any(state is None for state in states):
        raise UsageError(
            f"{judge.info.name} does not tell its states; a head on them needs a local/ or hf/ judge "
            "(or --features embeddings)"
        )
    return np.stack([state for state in states if state is not None])
