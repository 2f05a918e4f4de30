"""What a judge's log-odds are worth: calibrated on statements written by hand, unless it is known already."""

from __future__ import annotations

from collections.abc import Sequence

from filters.preferences.language_model import LanguageModel
from pipeline import plugins, prompts
from pipeline.formats.yes_no import LABELS, item_of
from pipeline.ports import Calibrated, PreferenceModel, Screening
from pipeline.schema import Behaviour, Item
from pipeline.statistics.calibration import Calibration, fit

KNOWN = {
    ("language_model", "local/Qwen2.5-Coder-1.5B-Instruct"): Calibration("platt", 1.65, 0.515),
    ("language_model", "local/Qwen2.5-Coder-0.5B-Instruct"): Calibration("platt", 2.37, -0.281),
    ("language_model", "local/SmolLM2-135M-Instruct"): Calibration("platt", 0.85, -0.303),
    ("language_model", "fake/judge"): Calibration(),
    # Of every third behaviour of the bank, 64 statements.
    ("ai_feedback", "local/Qwen2.5-Coder-1.5B-Instruct"): Calibration("platt", 2.45, -0.028),
    ("ai_feedback", "fake/judge"): Calibration(),
    ("reward_model", "fake/reward"): Calibration(),
}
"""By preference model and the judge, or reward model, that it asks: what the whole gold bank gives, kept here so that
the embedded judges start at once. The invented judges of dry runs go by single words, which the bank's statements are
not made for."""

GOLD_STEP = 3
"""Another judge is calibrated on every third behaviour of the bank: 160 short questions, asked once."""


def with_calibration(
    model: PreferenceModel, items: Sequence[Item], screening: Screening
) -> tuple[list[float], Calibration]:
    """Log-odds of each item's first answer, in the judge's own nats, and what makes probabilities of them.

    A judge that is not known yet is asked the bank in the same list, so that a server needs no more round trips.
    """
    asked = [(screening.behaviour, item) for item in items]
    known = _known(model, screening)
    if known:
        return model.log_odds(asked, screening), known
    bank, labels = gold_questions(GOLD_STEP)
    values = model.log_odds([*bank, *asked], screening)
    return values[len(bank) :], fit("platt", values[: len(bank)], labels)


def leaning(items: Sequence[Item], screening: Screening) -> list[float]:
    """How far the judge leans to each item's first answer, in its own nats from where it is undecided."""
    values, calibration = with_calibration(LanguageModel(), items, screening)
    return [value - calibration.zero for value in values]


def _known(model: PreferenceModel, screening: Screening) -> Calibration | None:
    """What is known of the model as it comes; with other options it is another one."""
    if isinstance(model, Calibrated):
        return model.calibration
    judge = screening.reward if model.name == "reward_model" else screening.judge
    found = KNOWN.get((model.name, judge.info.name if judge else ""))
    return found if found and model.options == plugins.load("preferences", model.name).make().options else None


def gold_questions(step: int = 1) -> tuple[list[tuple[Behaviour, Item]], list[bool]]:
    """The hand-written statements of every `step`-th behaviour as items, and whether its subject would say each."""
    questions, labels = [], []
    for gold in prompts.gold_statements()[::step]:
        behaviour = prompts.describe(gold.description, subject=gold.subject)
        for says, statements in ((True, gold.agree), (False, gold.disagree)):
            questions += [(behaviour, item_of(text, LABELS[0] if says else LABELS[1])) for text in statements]
            labels += [says] * len(statements)
    return questions, labels
