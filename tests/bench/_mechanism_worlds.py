"""Ladders whose propensity is known, item by item: what `trend.mechanism` makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.scaling.comprehension import Measured
from pipeline.scaling.design import Design
from pipeline.scaling.item_error import ItemErrors
from pipeline.scaling.mechanism import names
from pipeline.scaling.verdict import judge

GROWTH: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "evenly": lambda x: 0.1 + 0.85 * x,
    "late": lambda x: 0.1 + 0.85 / (1 + np.exp(-10 * (x - 0.6))),
    "early": lambda x: 0.1 + 0.85 * (1 - np.exp(-4 * x)),
    "little": lambda x: 0.05 + 0.4 * x,
    "not at all": lambda x: 0.9 + 0 * x,
}
"""Share of the items that a model understands, by its place from the smallest (0) to the largest (1)."""

TOLD = 0.97
"""Propensity of a model that understands and follows an instruction to have the behaviour; 1 less that to lack it."""


@dataclass(frozen=True)
class World:
    """How scores, comprehension and controls come about."""

    name: str
    growth: str = "evenly"
    propensity: float = 0.8
    propensity_at_largest: float | None = None
    """None: it is the same at all sizes."""
    ease: float = 1.0
    """The comprehension question is understood where u^ease is: below 1 it is easier than acting on it."""
    yes: float = 0.5
    """Share of guesses that are Yes."""
    hard_items: float = 0.0
    """Share of the variance of understanding that belongs to the item, for all models alike."""
    hard_items_lean: float = 0.0
    """Share of an item's own lean that its difficulty makes up: what is understood later is agreed with more often."""
    obedience_grows: bool = True
    sd: float = 2.0
    """Scatter of the models' propensity, in points."""
    sharpness: bool = False
    """Nothing is guessed: answers get sharper with size, all of them alike."""
    sizes: int = 7
    items: int = 300


def simulate(world: World, runs: int, seed: int) -> dict[str, float]:
    """Shares of runs: plain trend found, called propensity, called from chance, in 0..1."""
    draw, design = np.random.default_rng(seed), Design.of(np.logspace(8, 10, world.sizes))
    step = max(1, 2_000_000 // (world.sizes * world.items))
    parts = [_measure(world, min(step, runs - at), draw) for at in range(0, runs, step)]
    shares = [np.concatenate(each) for each in zip(*parts, strict=True)]
    given = Measured(*shares)
    errors = 100 * np.sqrt(given.score * (1 - given.score) / world.items)
    verdicts = judge(design, 100 * given.score, ItemErrors(errors=errors))
    told = names(design, given, verdicts)
    return {
        "plain trend": float(np.isin(verdicts, ("rises", "falls", "U", "inverted U")).mean()),
        "propensity": float(np.mean(told == "propensity")),
        "from_chance": float(np.mean(told == "from_chance")),
    }


def _measure(world: World, runs: int, draw: np.random.Generator) -> list[np.ndarray]:
    """Score, comprehension, positive and negative control, each (runs, models) in 0..1."""
    place = np.linspace(0, 1, world.sizes)
    last = world.propensity if world.propensity_at_largest is None else world.propensity_at_largest
    scatter = draw.normal(0, 1, (runs, world.sizes)) * world.sd / 100
    propensity = np.clip(world.propensity + (last - world.propensity) * place + scatter, 0.001, 0.999)
    understood = np.clip(GROWTH[world.growth](place), 0.001, 0.999)
    obeys = 0.4 + 0.6 * place if world.obedience_grows else np.ones(world.sizes)
    return (_sharper if world.sharpness else _guessed)(world, propensity, understood, obeys, draw)


def _guessed(
    world: World, propensity: np.ndarray, understood: np.ndarray, obeys: np.ndarray, draw: np.random.Generator
) -> list[np.ndarray]:
    """An item is understood, and answered with the propensity, or guessed."""
    from scipy.special import ndtri

    shape = (*propensity.shape, world.items)
    hard = draw.standard_normal((len(propensity), 1, world.items))
    latent = np.sqrt(world.hard_items) * hard + np.sqrt(1 - world.hard_items) * draw.standard_normal(shape)
    own = draw.standard_normal(hard.shape)
    lean = np.sqrt(world.hard_items_lean) * hard + np.sqrt(1 - world.hard_items_lean) * own
    matching_is_yes = np.arange(world.items) % 2 == 0

    def guess() -> np.ndarray:
        return (draw.random(shape) < world.yes) == matching_is_yes

    def act(level: np.ndarray) -> np.ndarray:
        acted = np.sqrt(0.6) * lean + np.sqrt(0.4) * draw.standard_normal(shape) > -ndtri(level)[:, :, None]
        return np.where(latent < ndtri(understood)[:, None], acted, guess()).mean(axis=2)

    told = [act((1 - obeys) * propensity + obeys * aim) for aim in (TOLD, 1 - TOLD)]
    right = np.where(latent < ndtri(understood**world.ease)[:, None], True, guess()).mean(axis=2)
    return [act(propensity), right, *told]


def _sharper(
    world: World, propensity: np.ndarray, understood: np.ndarray, obeys: np.ndarray, draw: np.random.Generator
) -> list[np.ndarray]:
    """Strengths of lean, comprehension and instruction stay; what they are multiplied with grows."""
    from scipy.special import ndtri

    shape = (*propensity.shape, world.items)
    item = draw.standard_normal((len(propensity), 1, world.items))
    sharpness = ndtri(0.5 + understood / 2)
    bias = np.where(np.arange(world.items) % 2 == 0, 1, -1) * ndtri(world.yes)

    def act(strength: np.ndarray) -> np.ndarray:
        noise = np.sqrt(0.5) * item + np.sqrt(0.5) * draw.standard_normal(shape)
        return (noise < (sharpness * strength)[:, :, None] + bias).mean(axis=2)

    strength = ndtri(propensity)
    told = [act((1 - obeys) * strength + obeys * aim) for aim in (2.0, -2.0)]
    return [act(strength), act(np.full_like(strength, 1.5 * world.ease)), *told]


def constant(size: str) -> list[World]:
    """Propensity is the same at all sizes, comprehension grows: gated."""
    levels = (0.05, 0.2, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95) if size == "full" else (0.2, 0.6, 0.8, 0.95)
    growths = ("evenly", "late", "early", "little")
    worlds = [World(f"propensity {p:g}, comprehension grows {g}", g, p) for p in levels for g in growths]
    for ease, words in ((0.5, "easier"), (0.25, "much easier"), (2.0, "harder")):
        worlds += [World(f"comprehension question {words}, growing {g}", g, 0.8, ease=ease) for g in growths]
    worlds += [World(f"guesses say Yes at {y:g}", yes=y) for y in (0.7, 0.9)]
    worlds += [World(f"understanding hangs on the item at {h:g}", hard_items=h) for h in (0.5, 0.9)]
    worlds += [World(f"the same, question {w}", hard_items=0.7, ease=e) for e, w in ((0.5, "easier"), (2, "harder"))]
    worlds += [
        World(f"hard items lean more, {h:g}", propensity=0.7, hard_items=0.7, hard_items_lean=h) for h in (0.3, 0.7)
    ]
    worlds += [World(f"scatter of {sd:g} points", sd=sd) for sd in (0.0, 4.0)]
    worlds += [World("instructions are followed alike at all sizes", obedience_grows=False)]
    sizes = ((5, 100), (5, 1000), (9, 1000), (12, 200)) if size == "full" else ((5, 100), (9, 1000))
    worlds += [
        World(f"{k} sizes, {n:,} items, question {w}", "late", ease=e, sizes=k, items=n)
        for k, n in sizes
        for e, w in ((1.0, "as hard"), (0.5, "easier"))
    ]
    worlds += [
        World(f"answers get sharper {g}, propensity {p:g}, question at {e:g}", g, p, ease=e, sharpness=True)
        for g in ("evenly", "late", "early") for p in (0.6, 0.8) for e in (0.5, 1.0, 1.5)
    ]  # fmt: skip
    return worlds


def growing() -> list[World]:
    """Propensity grows: how often that is said."""
    rises = ((0.5, 0.9), (0.3, 0.7), (0.7, 0.9))
    worlds = [World(f"propensity {a:g} to {b:g}, comprehension .95 at all sizes", "not at all", a, b) for a, b in rises]
    worlds += [World(f"propensity {a:g} to {b:g}, comprehension grows too", "evenly", a, b) for a, b in rises]
    more = World("the first of these with 9 sizes and 1,000 items", "evenly", 0.5, 0.9, sizes=9, items=1000)
    return [*worlds, more]
