"""One dataset by one writer or by two, half of the items each: whether it matters who writes is then to be seen.

The second writes beside what of the first has passed, so that neither repeats the other. Each half is a whole of its
own: balanced, with its own limits, and with the generator in every item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline.calls import StoredModel
from pipeline.errors import UsageError
from pipeline.generate import Written, generate, shuffled
from pipeline.generation.acceptance import together
from pipeline.generation.recipe import Recipe
from pipeline.ports import Filter, Progress, Screening
from pipeline.schema import Behaviour
from pipeline.screen import accepting


def write(
    behaviour: Behaviour,
    writers: Sequence[StoredModel],
    screening: Screening,
    filters: Sequence[Filter],
    recipe: Recipe,
    progress: Progress | None = None,
) -> Written:
    """What one writer writes, or two. Where a budget ends the first half, there is no second.

    Raises UsageError where both are the same model, or where too few items are wanted for two.
    """
    if len(writers) == 1:
        return generate(behaviour, writers[0], screening, filters, recipe, progress)
    names = [writer.info.name for writer in writers]
    if len(set(names)) < len(names):
        raise UsageError(f"both generators are {names[0]}; --also-model names another one")
    done: list[Written] = []
    for writer, part in zip(writers, parts(recipe), strict=True):
        before = accepting(screening, [item for written in done for item in written.kept])
        done.append(generate(behaviour, writer, before, filters, part, progress))
        if done[-1].stopped:
            break
    return _joined(done, recipe, names)


def parts(recipe: Recipe) -> tuple[Recipe, Recipe]:
    """Half of the recipe for each of two writers, an even number of items each. Raises UsageError below four items."""
    first = recipe.n // 4 * 2
    if first < 2:
        raise UsageError(f"-n is {recipe.n}; two generators need at least 4 items, one for each label each")
    second = recipe.n - first
    most = recipe.candidates
    shares = (None, None) if most is None else (most * first // recipe.n, most - most * first // recipe.n)
    return replace(recipe, n=first, candidates=shares[0]), replace(recipe, n=second, candidates=shares[1])


def _joined(done: Sequence[Written], recipe: Recipe, names: Sequence[str]) -> Written:
    """The halves as one run."""
    last = done[-1]
    joined = Written(replace(last.recipe, n=recipe.n, candidates=recipe.candidates), requested=recipe.n)
    joined.kept = list(shuffled([item for written in done for item in written.kept], recipe.seed))
    for written in done:
        joined.rejected += written.rejected
        joined.written += written.written
        joined.unparsed += written.unparsed
        joined.refused += written.refused
        joined.empty += written.empty
        joined.revised += written.revised
        joined.dropped.update(written.dropped)
    joined.balance, joined.stopped = last.balance, last.stopped
    joined.ended = next((written.ended for written in done if written.ended != "enough"), "enough")
    joined.acceptance = together(dict(zip(names, (written.acceptance for written in done), strict=False)), joined.ended)
    return joined
