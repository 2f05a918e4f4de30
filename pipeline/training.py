"""From datasets to a preference model in a folder: gathers labels, fits, writes the model with its card and plot."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from filters._asking import SAY
from filters.preferences._saved import CARD, HEAD, Features, SavedCalibration, SavedPreference, Source, Threshold
from pipeline import fitting, plugins, prompts
from pipeline.errors import UsageError
from pipeline.ports import Progress, Screening
from pipeline.publish import now, program_version
from pipeline.report.reliability import draw_reliability
from pipeline.review.labels import RATER_KINDS, read
from pipeline.schema import Behaviour, Item, Label, fingerprint
from pipeline.store import LABELS, Dataset, record_to_text, write_whole

README, PLOT = "README.md", "reliability.png"
IN_WORDS = {
    "published": "agreement with published labels, which are a model's own and not the truth",
    "checked": "agreement with spot-check labels",
    "feedback": "agreement with a model's feedback, which is not the truth",
}


@dataclass(frozen=True)
class Plan:
    """What is to be fitted, on what."""

    folder: Path
    labels: str = "published"
    by: str = "trained"
    """`trained` fits a head; any other preference model is calibrated."""
    features: Features = "states"
    options: Mapping[str, Any] | None = None
    seed: int = 0
    size: int = fitting.EXAMPLES
    """Items of a behaviour at the most."""

    def __post_init__(self) -> None:
        if self.labels not in IN_WORDS:
            raise UsageError(f"--labels is {self.labels!r}; expected one of {', '.join(IN_WORDS)}")
        if self.features not in get_args(Features):
            raise UsageError(f"--features is {self.features!r}; expected one of {', '.join(get_args(Features))}")
        if (self.folder / CARD).exists():
            raise UsageError(f"{self.folder} holds a preference model already; give another folder")


def make(
    datasets: Sequence[tuple[Dataset, Behaviour]], plan: Plan, screening: Screening, progress: Progress
) -> SavedPreference:
    """Fit a preference model on the datasets and write it. Raises UsageError where there are too few labels."""
    gathered = [_examples(dataset, behaviour, plan, screening) for dataset, behaviour in datasets]
    for (dataset, _), own in zip(datasets, gathered, strict=True):
        if not own:
            progress.note(f"{dataset.label}: no items of both answers with {plan.labels} labels; left out")
    kept = [(pair, own) for pair, own in zip(datasets, gathered, strict=True) if own]
    groups = _groups([behaviour for (_, behaviour), _ in kept], screening)
    examples = [each for _, own in kept for each in own]
    of = [group for group, (_, own) in zip(groups, kept, strict=True) for _ in own]
    progress.note(f"{len(examples)} items of {len(kept)} behaviours, held out in {len(set(groups))} groups")
    layer = _layer(screening) if plan.by == "trained" and plan.features == "states" else None
    if plan.by == "trained":
        fitted = fitting.fit_head(examples, of, plan.features, layer, screening)
    else:
        model = plugins.load("preferences", plan.by).make(**(plan.options or {}))
        fitted = fitting.fit_calibration(model, examples, of, screening)
    sources = [
        Source(dataset=dataset.label, behaviour=behaviour.description, items=len(own), group=group, sha256=_hash(own))
        for ((dataset, behaviour), own), group in zip(kept, groups, strict=True)
    ]
    card = _card(plan, fitted, sources, layer, screening)
    _write(plan, card, fitted, [each.first > 0.5 for each in examples])
    return card


def _examples(dataset: Dataset, behaviour: Behaviour, plan: Plan, screening: Screening) -> list[fitting.Example]:
    if plan.labels == "checked":
        return _checked(dataset, behaviour)
    drawn = fitting.draw(behaviour, dataset.items, plan.seed, plan.size)
    if plan.labels == "published" or not drawn:
        return drawn
    asked = Screening(behaviour, screening.judge, screening.embedder, reward=screening.reward)
    items = [each.item for each in drawn]
    verdicts = plugins.load("filters", "preference").make(by="ai_feedback").judge(items, asked)
    return [
        fitting.Example(behaviour, item, _of_first(item, verdict.scores["label"]))
        for item, verdict in zip(items, verdicts, strict=True)
    ]


def _checked(dataset: Dataset, behaviour: Behaviour) -> list[fitting.Example]:
    """Items whose label a rater called right or wrong; where people and models did, people count."""
    opinions: dict[str, Label] = {}
    for label in sorted(read(dataset.folder / LABELS), key=lambda each: -RATER_KINDS.index(each.rater_kind)):
        if label.label != "unclear":
            opinions[label.id] = label
    every: dict[str, Item] = {item.id: item for item in (*dataset.items, *dataset.rejected)}
    return [
        fitting.Example(behaviour, every[id], _of_first(every[id], float(label.label == "right")))
        for id, label in opinions.items()
        if id in every
    ]


def _of_first(item: Item, matching: float) -> float:
    """The probability that the first answer is right, from that of the item's own."""
    return matching if item.answer_matching_behavior == item.options[0] else 1 - matching


def _groups(behaviours: Sequence[Behaviour], screening: Screening) -> list[int]:
    vectors = screening.embedder.embed([b.predicate for b in behaviours]) if screening.embedder and behaviours else None
    return fitting.groups_of(behaviours, vectors)


def _layer(screening: Screening) -> int:
    """The layer whose states are read. Raises UsageError for a judge that has none to read."""
    depth = screening.judge.info.layers if screening.judge else None
    if not depth:
        name = screening.judge.info.name if screening.judge else "no judge"
        raise UsageError(f"{name} does not tell its states; use a local/ or hf/ judge, or --features embeddings")
    return max(1, min(depth - 1, round(fitting.DEPTH * depth)))


def _hash(examples: Sequence[fitting.Example]) -> str:
    return fingerprint(sorted([each.item.id, round(each.first, 6)] for each in examples))


def _card(
    plan: Plan, fitted: fitting.Fitted, sources: list[Source], layer: int | None, screening: Screening
) -> SavedPreference:
    on_embeddings = fitted.head is not None and plan.features == "embeddings"
    made = fitted.calibration
    return SavedPreference(
        kind=plan.by,
        options=dict(plan.options or {}),
        judge=screening.judge.info.name if screening.judge and not on_embeddings else None,
        embedder=screening.embedder.info.name if screening.embedder and on_embeddings else None,
        features=plan.features if fitted.head else None,
        layer=layer,
        templates={SAY: prompts.template_hash(SAY)},
        calibration=SavedCalibration(method=made.method, slope=made.slope, zero=made.zero, knots=made.knots),
        thresholds=[
            Threshold(precision=precision, threshold=cut[0] if cut else None, recall=cut[1] if cut else None)
            for precision, cut in fitted.thresholds.items()
        ],
        evaluation={name: None if value is None else round(value, 6) for name, value in fitted.evaluation.items()},
        labels=plan.labels,
        sources=sources,
        sha256={HEAD: hashlib.sha256(fitted.head.to_bytes()).hexdigest()} if fitted.head else {},
        program_version=program_version(),
        created_at=now(),
    )


def _write(plan: Plan, card: SavedPreference, fitted: fitting.Fitted, truth: Sequence[bool]) -> None:
    plan.folder.mkdir(parents=True, exist_ok=True)
    if fitted.head:
        write_whole(plan.folder / HEAD, fitted.head.to_bytes())
    write_whole(plan.folder / PLOT, draw_reliability(fitted.held_out, truth, "on behaviours held out"))
    text = prompts.render("preference_card", card=card, labels_are=IN_WORDS[plan.labels])
    write_whole(plan.folder / README, text)
    write_whole(plan.folder / CARD, record_to_text(card))
