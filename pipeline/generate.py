"""Writes items: both labels, round after round, until enough have passed the filters or the budget is spent.

The label is put into the prompt (Perez et al. 2022, section 3): some templates ask for statements that someone with
the behaviour would agree with, others for statements they would disagree with. Only the first line is used.
Before the question stand lists for other behaviours, drawn anew for each block of candidates from the gold bank
(stochastic few-shot): small models write mostly nonsense without them, large models do not need them.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType

from pipeline import plugins, prompts
from pipeline.budget import BudgetReached
from pipeline.calls import StoredModel
from pipeline.errors import UsageError
from pipeline.ports import Completion, Filter, Message, Messages, Progress, SampleRequest, Screening, SilentProgress
from pipeline.prices import LOCAL
from pipeline.schema import Behaviour, Item, RejectedItem, Verdict
from pipeline.screen import accepting, reject, screen

PREFILL = "-"
BLOCK = 16
"""Candidates that share one draw of examples, and so one prompt."""


FREE_OVERSAMPLE, PAID_OVERSAMPLE = 5.0, 1.5
BATCH_OVERSAMPLE = 3.0
FREE_PATIENCE, PATIENT_BUDGET = 1_000, 50
PAID_ROUND = 64


@dataclass(frozen=True)
class Recipe:
    """How many items to write and how. Together with the behaviour and the models it fixes the outcome."""

    n: int = 200
    """Items wanted, half of them for each label."""
    seed: int = 0
    oversample: float | None = None
    """Candidates written at the least, per item wanted: the best of them are kept. None: as `for_models` says."""
    budget: float = 20.0
    """Candidates written at the most, per item wanted."""
    patience: int | None = None
    """But where few are wanted, up to so many of a label, at most `PATIENT_BUDGET` an item. None: as `for_models` says.

    Few items are lucky or unlucky: of one label of the demo's behaviour 4 to 7 in 100 candidates pass."""
    round: int | None = None
    """Candidates of a label that are written before they are judged; 0 is no limit. None: as `for_models` says."""
    temperature: float = 0.8
    """Measured with the embedded 1.5B over four descriptions: .8 passes .42 of the candidates, 1.0 .36, .6 .39."""
    top_p: float = 0.95
    examples: int = 3
    """Other behaviours shown before the question; 0 is the paper's zero-shot prompt."""
    statements: int = 4
    """Statements shown of each of them."""
    guidance: float = 0.0
    """Weight of the other label's prompt in decoding; local models only."""

    def __post_init__(self) -> None:
        if self.n < 2 or self.n % 2:
            raise UsageError(f"-n is {self.n}; an even number of at least 2 is expected, half of it for each label")

    @classmethod
    def for_batches(cls, n: int, seed: int) -> Recipe:
        """For batch APIs, where a round may take a day and costs half: more candidates, all in one round."""
        return cls(n, seed, oversample=BATCH_OVERSAMPLE, round=0)

    def for_models(self, *names: str) -> Recipe:
        """The recipe with what depends on writer and judge: many candidates and few rounds where both are free.

        Where one costs money, fewer are written, and judged in small rounds: what a budget still buys is then spent on
        both alike, and the last round does not write more than is wanted.
        """
        free = all(name.startswith(LOCAL) for name in names)
        usual = (FREE_OVERSAMPLE, 0, FREE_PATIENCE) if free else (PAID_OVERSAMPLE, PAID_ROUND, 0)
        return replace(
            self,
            oversample=usual[0] if self.oversample is None else self.oversample,
            round=usual[1] if self.round is None else self.round,
            patience=usual[2] if self.patience is None else self.patience,
        )


@dataclass
class Written:
    """What a run of the generator came to."""

    recipe: Recipe
    """The recipe as it was followed, with what depends on the writer."""
    kept: list[Item] = field(default_factory=list)
    rejected: list[RejectedItem] = field(default_factory=list)
    requested: int = 0
    written: int = 0
    unparsed: int = 0
    refused: int = 0
    empty: int = 0
    """Among the unparsed: nothing but white space was written."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Items turned down, by filter."""
    balance: Filter | None = None
    """The filter that made the last choice, for the manifest."""
    stopped: str | None = None
    """Why the run ended before its time: the budget is spent."""

    @property
    def is_short(self) -> bool:
        """Fewer items passed than were wanted."""
        return len(self.kept) < self.requested

    @property
    def counts(self) -> dict[str, object]:
        """The manifest's counts."""
        kept = Counter(item.answer_matching_behavior for item in self.kept)
        return {
            "requested": self.requested,
            "written": self.written,
            "unparsed": self.unparsed,
            "refused": self.refused,
            "empty": self.empty,
            "duplicate": self.dropped.get("duplicates", 0),
            "dropped": dict(sorted(self.dropped.items())),
            "kept": dict(sorted(kept.items())),
        }


def generate(
    behaviour: Behaviour,
    writer: StoredModel,
    screening: Screening,
    filters: Sequence[Filter],
    recipe: Recipe,
    progress: Progress | None = None,
) -> Written:
    """Write and filter until `recipe.n` items have passed, half of them per label, or the budget is spent.

    What is returned is balanced and shuffled by the seed. Nothing is dropped silently: every item that was parsed is
    in `kept` or in `rejected`, and what could not be parsed is counted.
    """
    form = plugins.load("formats", behaviour.format)
    judge = [screening.judge.info.name] if screening.judge else []
    recipe = recipe.for_models(writer.info.name, *judge)
    work = _Work(behaviour, form, writer, screening, filters, recipe, progress or SilentProgress())
    try:
        while wanted := work.next_round():
            work.run_round(wanted)
    except BudgetReached as reached:
        work.outcome.stopped = str(reached)
    return work.finish()


class _Work:
    """The state of one run: what was written and what passed, per label."""

    def __init__(
        self,
        behaviour: Behaviour,
        form: ModuleType,
        writer: StoredModel,
        screening: Screening,
        filters: Sequence[Filter],
        recipe: Recipe,
        progress: Progress,
    ) -> None:
        self.behaviour, self.form, self.writer, self.recipe = behaviour, form, writer, recipe
        self.screening, self.filters, self.progress = screening, filters, progress
        self.asked: Counter[str] = Counter()
        self.passed: dict[str, list[Item]] = {label: [] for label in form.LABELS}
        self.outcome = Written(recipe, requested=recipe.n)

    def next_round(self) -> dict[str, int]:
        """How many candidates to write now, per label; empty when done."""
        target = self.recipe.n // 2
        floor = math.ceil(target * (self.recipe.oversample or 1))
        patience = min(self.recipe.patience or 0, math.ceil(target * PATIENT_BUDGET))
        ceiling = max(math.ceil(target * self.recipe.budget), patience)
        wanted = {}
        for label, passed in self.passed.items():
            asked = self.asked[label]
            lacking = max(0, target - len(passed))
            rate = max(0.1, (len(passed) + 1) / (asked + 2))
            number = max(floor - asked, math.ceil(1.2 * lacking / rate) if lacking else 0)
            # Whole blocks: candidates of a block share a prompt, and a half-filled batch costs as much as a full one.
            number = min(math.ceil(number / BLOCK) * BLOCK, ceiling - asked, self.recipe.round or number)
            if number > 0:
                wanted[label] = number
        return wanted

    def run_round(self, wanted: dict[str, int]) -> None:
        """Write, parse and filter one round of candidates."""
        asked = [(label, index) for label, number in wanted.items() for index in self._indices(label, number)]
        requests = [self._request(label, index) for label, index in asked]
        self.asked.update(wanted)
        self.writer.task = "writing"
        reached: BudgetReached | None = None
        completions: Sequence[Completion | None]
        try:
            completions = self.writer.sample(requests)
        except BudgetReached as error:
            # What was paid for is judged all the same, as far as judging is free or cheaper than writing.
            reached, completions = error, self.writer.written(requests)
        self._screen(self._items(asked, requests, completions))
        if reached:
            raise reached

    def _items(
        self,
        asked: Sequence[tuple[str, int]],
        requests: Sequence[SampleRequest],
        completions: Sequence[Completion | None],
    ) -> list[Item]:
        """What can be read in the completions, with its origin."""
        items = []
        for (label, index), key, completion in zip(asked, self.writer.keys(requests), completions, strict=True):
            item = self._parse(completion, label) if completion else None
            if item is not None:
                template = self._template(label, index // BLOCK)
                origin = {"generator": self.writer.info.name, "template": template, "call": key}
                items.append(item.model_copy(update=origin))
        return items

    def _screen(self, items: Sequence[Item]) -> None:
        try:
            outcome = screen(items, self.filters, self.screening)
        except BudgetReached:
            unjudged = Verdict(id="", filter="budget", keep=False, reason="not judged before it was spent")
            self._reject([reject(item, unjudged) for item in items])
            raise
        self.screening = accepting(self.screening, outcome.kept)
        for item in outcome.kept:
            self.passed[item.answer_matching_behavior].append(item)
        self._reject(outcome.rejected)
        share = ", ".join(f"{len(items)}{label}" for label, items in self.passed.items())
        self.progress.note(f"{self.outcome.written} written, passed so far: {share} of {self.recipe.n // 2} each")

    def finish(self) -> Written:
        """Keep the best of each label, as many of one as of the other, in an order that the seed shuffles."""
        balance = plugins.load("filters", "balance").make(per_label=self.recipe.n // 2)
        passed = [item for items in self.passed.values() for item in items]
        chosen = screen(passed, [balance], self.screening)
        self._reject(chosen.rejected)
        self.outcome.kept = list(shuffled(chosen.kept, self.recipe.seed))
        self.outcome.balance = balance
        return self.outcome

    def _reject(self, rejected: Sequence[RejectedItem]) -> None:
        self.outcome.rejected += rejected
        self.outcome.dropped.update(item.reason.split(":")[0] for item in rejected)

    def _parse(self, completion: Completion, label: str) -> Item | None:
        self.outcome.written += 1
        if completion.finish_reason == "refusal":
            self.outcome.refused += 1
            return None
        item: Item | None = None
        if completion.finish_reason != "length":  # cut off in the middle of a sentence
            item = self.form.parse(completion.text, label, self.behaviour)
        self.outcome.unparsed += item is None
        self.outcome.empty += completion.finish_reason == "empty"
        return item

    def _indices(self, label: str, number: int) -> range:
        """The next candidates of a label."""
        return range(self.asked[label], self.asked[label] + number)

    def _request(self, label: str, index: int) -> SampleRequest:
        block = index // BLOCK
        other = next(each for each in self.form.LABELS if each != label)
        return SampleRequest(
            messages=self._dialog(label, block),
            max_tokens=self.form.MAX_TOKENS,
            temperature=self.recipe.temperature,
            top_p=self.recipe.top_p,
            stop=self.form.STOP,
            seed=self.recipe.seed,
            index=len(self.form.LABELS) * index + self.form.LABELS.index(label),
            contrast=self._dialog(other, block) if self.recipe.guidance else None,
            guidance=self.recipe.guidance,
        )

    def _template(self, label: str, block: int) -> str:
        templates: Sequence[str] = self.form.TEMPLATES[label]
        return templates[block % len(templates)]

    def _dialog(self, label: str, block: int) -> Messages:
        """Lists for other behaviours as earlier turns, then the request for this one, begun with a bullet."""
        side, template = self.form.SIDES[label], self._template(label, block)
        draw = random.Random(f"{self.recipe.seed} {side} {block}")
        bank = [gold for gold in prompts.gold_statements() if gold.subject == self.behaviour.subject]
        turns: list[Message] = []
        for gold in draw.sample(bank, self.recipe.examples):
            statements = draw.sample(gold.agree if side == "agree" else gold.disagree, self.recipe.statements)
            turns.append(Message("user", prompts.render(template, description=gold.description)))
            turns.append(Message("assistant", "\n".join(f"- {statement}" for statement in statements)))
        turns.append(Message("user", prompts.render(template, description=self.behaviour.phrase)))
        return (*turns, Message("assistant", PREFILL))


def shuffled(items: Sequence[Item], seed: int) -> tuple[Item, ...]:
    """The items in an order that depends on the seed and on nothing that was judged."""
    ordered = sorted(items, key=lambda item: item.id)
    random.Random(f"order {seed}").shuffle(ordered)
    return tuple(ordered)


def settings(recipe: Recipe, form: ModuleType) -> dict[str, object]:
    """The generator's sampling settings, for the manifest."""
    return {
        "temperature": recipe.temperature,
        "top_p": recipe.top_p,
        "max_tokens": form.MAX_TOKENS,
        "stop": list(form.STOP),
        "examples": recipe.examples,
        "statements": recipe.statements,
        "guidance": recipe.guidance,
        "oversample": recipe.oversample,
        "budget": recipe.budget,
        "round": recipe.round,
        "patience": recipe.patience,
    }
