"""What is kept is balanced, good, and never less diverse than the best by score alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from filters import balance
from pipeline import plugins, prompts
from pipeline.calls import CallStore, StoredModel
from pipeline.formats.yes_no import question
from pipeline.ports import Screening
from pipeline.publish import publish
from pipeline.schema import Calls, Item, ModelInfo

BEHAVIOUR = prompts.describe("a person who likes trains")


class Embedder:
    """Vectors by the first word of a text, with a little noise."""

    task = ""
    info = ModelInfo(name="fake/planted")

    def embed(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        draw = np.random.default_rng(0)
        places = {word: place for place, word in enumerate(sorted({text.split()[0] for text in texts}))}
        vectors = 0.05 * draw.normal(size=(len(texts), 16))
        vectors[range(len(texts)), [places[text.split()[0]] for text in texts]] += 1
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def item(statement: str, label: str, confidence: float) -> Item:
    other = " No" if label == " Yes" else " Yes"
    return Item(
        question=question(statement),
        statement=statement,
        answer_matching_behavior=label,
        answer_not_matching_behavior=other,
        label_confidence=confidence,
    )


def planted(seed: int = 0, n: int = 160) -> list[Item]:
    """Four topics. The best Yes are all about trains, the best No all about soup."""
    draw = np.random.default_rng(seed)
    items = []
    for number in range(n):
        label = (" Yes", " No")[number % 2]
        topic = ["trains", "soup", "cats", "rain"][draw.integers(4)]
        favourite = (topic, label) in (("trains", " Yes"), ("soup", " No"))
        words = " ".join(f"w{draw.integers(40)}" for _ in range(6))
        items.append(item(f"{topic} {words}", label, 0.86 + 0.1 * favourite + 0.02 * draw.random()))
    return items


def kept(items: Sequence[Item], embedder: Embedder | None, **options: float) -> tuple[list[Item], dict[str, Any]]:
    filter_ = balance.make(**options)
    verdicts = filter_.judge(items, Screening(BEHAVIOUR, None, embedder))
    figures: dict[str, Any] = filter_.figures["diversity"]  # type: ignore[attr-defined]
    return [each for each, verdict in zip(items, verdicts, strict=True) if verdict.keep], figures


@pytest.mark.parametrize("embedder", [Embedder(), None])
def test_labels_are_balanced_inside_topics_where_the_best_by_score_are_not(embedder: Embedder | None) -> None:
    chosen, figures = kept(planted(), embedder, per_label=16)
    assert Counter(each.answer_matching_behavior for each in chosen) == {" Yes": 16, " No": 16}
    ours, best = figures["kept"], figures["best_by_score"]
    assert ours["self_bleu"] <= best["self_bleu"]
    assert ours["vendi"] > best["vendi"]
    assert ours["entropy"] >= best["entropy"]
    assert ours["label_imbalance"] < best["label_imbalance"]
    assert 0 < best["mean_score"] - ours["mean_score"] < 0.1


def test_every_topic_gives_both_labels() -> None:
    chosen, _ = kept(planted(), Embedder(), per_label=16)
    sides = Counter((each.text.split()[0], each.answer_matching_behavior) for each in chosen)
    assert len(sides) == 8
    assert all(sides[topic, " Yes"] == sides[topic, " No"] for topic, _ in sides)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_never_less_diverse_whatever_the_items(seed: int) -> None:
    items = planted(seed, n=60)
    _, figures = kept(items, None, per_label=10)
    ours, best = figures["kept"], figures["best_by_score"]
    assert all(ours[name] <= best[name] for name in ("self_bleu", "label_imbalance"))
    assert all(ours[name] >= best[name] for name in ("vendi", "entropy", "entropy_finer"))


def test_without_diversity_the_best_by_score_are_kept() -> None:
    items = planted()
    chosen, figures = kept(items, Embedder(), per_label=16, diversity=0.0)
    for label in (" Yes", " No"):
        scores = sorted(each.label_confidence or 0 for each in items if each.answer_matching_behavior == label)
        assert min(e.label_confidence or 0 for e in chosen if e.answer_matching_behavior == label) == scores[-16]
    assert figures["kept"] == figures["best_by_score"]


def test_the_figures_name_what_the_vectors_are_made_of_and_reach_the_manifest(tmp_path: Path) -> None:
    assert kept(planted(), Embedder(), per_label=8)[1]["vectors"] == "fake/planted"
    filter_ = balance.make(per_label=8)
    items = planted()
    filter_.judge(items, Screening(BEHAVIOUR, None, None))
    fake = plugins.load("models", "fake")
    models = {"generator": StoredModel(fake.connect("writer"), CallStore(tmp_path / "calls"))}
    counts = {"requested": 2, "written": 2, "unparsed": 0, "dropped": {}, "kept": {}}
    dataset, _ = publish(tmp_path, BEHAVIOUR, items[:2], [], counts, models, Calls(), {}, [filter_], [], seed=0)
    assert dataset.manifest is not None
    found = dataset.manifest.audit["diversity"]
    assert found["vectors"] == "words"
    named = {"self_bleu", "vendi", "entropy", "entropy_finer", "label_imbalance", "mean_score"}
    assert found["kept"].keys() == found["best_by_score"].keys() == named


def test_the_choice_is_the_same_every_time_and_says_why_an_item_is_left_out() -> None:
    items = planted()
    filter_ = balance.make(per_label=16)
    first, second = (filter_.judge(items, Screening(BEHAVIOUR, None, Embedder())) for _ in range(2))
    assert first == second
    dropped = next(verdict for verdict in first if not verdict.keep)
    assert "better or less alike" in dropped.reason


@pytest.mark.parametrize("texts", [["a", "a", "a", "a"], ["...", "!!!", "", "?"]])
def test_items_that_are_all_alike_or_without_words_are_no_error(texts: list[str]) -> None:
    items = [item(text or "-", label, 0.9) for text, label in zip(texts, [" Yes", " No"] * 2, strict=True)]
    assert len(kept(items, None, per_label=1)[0]) == 2
