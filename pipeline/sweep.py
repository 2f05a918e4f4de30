"""In which order many datasets are put to many models, and what happens where one of them fails.

One model after the other, so that each is loaded once; every answer is in the call store, so that a sweep that was
stopped is run again. A dataset that fails does not keep a model from the others; a model that cannot be had, or whose
server fails, does not keep the other models from answering.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.calls import StoredModel
from pipeline.collection import Collection, Failure, named, readable
from pipeline.errors import ModelError, PipelineError, TooLong, Unsupported
from pipeline.evaluate import subset, task_of
from pipeline.ports import Progress
from pipeline.schema import Item, Point
from pipeline.store import Dataset

ANCHOR = "anchor "
"""Before the name in an anchor's title."""


@dataclass(frozen=True)
class Sweep:
    """The datasets of a run with their titles, its anchors, and what could not be read."""

    collection: Collection
    asked: tuple[tuple[str, Dataset], ...]
    """Title and dataset; the anchors come first, since what they say is there when a sweep is stopped."""
    failures: tuple[Failure, ...]

    @classmethod
    def of(
        cls,
        collection: Collection,
        anchors: Sequence[Dataset],
        progress: Progress,
        n: int | None = None,
        seed: int = 0,
    ) -> Sweep:
        """Leaves out what is too long for any model, and says so; then draws `n` items of each dataset if given.

        Raises UsageError if nothing is left.
        """
        asked: list[tuple[str, Dataset]] = [(ANCHOR + each.label, each) for each in anchors]
        failures = list(collection.failures)
        for title, dataset in zip(collection.titles, collection.datasets, strict=True):
            try:
                shorter, said = readable(dataset)
            except PipelineError as error:
                failures.append(Failure(title, "", error))
                continue
            if said:
                progress.note(f"{title}: {said}")
            asked.append((title, replace(shorter, items=subset(shorter.items, n, seed))))
        if failures and not (collection.is_sweep and len(asked) > len(anchors)):
            raise failures[0].error
        return cls(collection, tuple(asked), tuple(failures))


@dataclass(frozen=True)
class Answered:
    """One dataset answered by one model."""

    dataset: Dataset
    title: str
    model: str
    """As it was asked for: its name, with the variant where there is one."""
    point: Point
    reused: int
    """Calls of the published questions that were stored already."""


def sweep(
    datasets: Sequence[tuple[str, Dataset]],
    models: Sequence[str],
    connect: Callable[[str], StoredModel],
    ask: Callable[[Dataset, StoredModel], Point],
    begin: Callable[[str, str], None] = lambda title, model: None,
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[Answered | Failure]:
    """Each dataset (title and itself) on each model in turn; `begin` is told before each.

    Items that do not fit into a model's context are left out for that model, longest first, and noted.
    A model that fails is not asked about the datasets after that. Where the budget is reached, what is stored already
    or free is still answered.
    """
    for model in models:
        try:
            subject = connect(model)
        except PipelineError as error:
            yield Failure("", model, error)
            continue
        for title, dataset in datasets:
            begin(title, model)
            outcome = _one(title, dataset, model, subject, ask, note)
            yield outcome
            if isinstance(outcome, Failure) and _ends_model(outcome.error):
                break


def _one(
    title: str,
    dataset: Dataset,
    model: str,
    subject: StoredModel,
    ask: Callable[[Dataset, StoredModel], Point],
    note: Callable[[str], None],
) -> Answered | Failure:
    published = task_of(subject.info.name)
    reused, items = subject.reused[published], dataset.items
    while True:
        try:
            point = ask(replace(dataset, items=items), subject)
        except TooLong as error:
            shorter = _without_longest(items)
            if not shorter:
                return Failure(title, model, error)
            items = shorter
        except PipelineError as error:
            return Failure(title, model, error)
        else:
            break
    if len(items) < len(dataset.items):
        kept = {item.id for item in items}
        out = [item for item in dataset.items if item.id not in kept]
        note(f"{title}: {len(out):,} items do not fit into {model} and are left out: {named(out)}")
    return Answered(dataset, title, model, point, subject.reused[published] - reused)


def _without_longest(items: tuple[Item, ...]) -> tuple[Item, ...]:
    longest = max(len(item.question) for item in items)
    return tuple(item for item in items if len(item.question) < longest)


def _ends_model(error: PipelineError) -> bool:
    # What a model cannot do with one dataset, it may do with another; a server that is gone stays gone for a while.
    return isinstance(error, ModelError) and not isinstance(error, Unsupported)
