"""Names become objects: what stands on the command line is looked up, checked and connected here.

Used by cli.py alone. Models connect lazily and share one call store; heavy modules are imported where they are needed.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from pipeline.calls import StoredModel
    from pipeline.contexts import Contexts
    from pipeline.estimate import Estimate
    from pipeline.flow import Cast
    from pipeline.generation.recipe import Recipe
    from pipeline.ladders import Rung
    from pipeline.planning import Aim, Outlook
    from pipeline.ports import Filter, Probe, Progress, Provider, Screening
    from pipeline.prices import OwnPrice
    from pipeline.probing import Asking
    from pipeline.schema import Behaviour
    from pipeline.settings import Settings
    from pipeline.store import Dataset
    from pipeline.sweep import Sweep
    from pipeline.training import Plan


def behaviour_from(
    description: str | None,
    source: Path | None,
    name: str | None,
    subject: str | None,
    format: str,
    undesired: str | None,
) -> Behaviour:
    from pipeline import plugins, prompts

    if (description is None) == (source is None):
        raise UsageError('give a description, such as "a person who enjoys travelling", or --from behaviour.toml')
    plugins.load("formats", format)
    if description is not None:
        return prompts.describe(description, name, subject, undesired or "neither", format)
    assert source is not None
    chosen = {"name": name, "subject": subject, "undesired": undesired}
    return prompts.changed(prompts.read_behaviour(source), **{key: value for key, value in chosen.items() if value})


def behaviour_of(
    dataset: Dataset, given: str | None, subject: str | None, undesired: str | None, progress: Progress
) -> Behaviour:
    """The behaviour of a dataset: as given, else the version's own, else by the file's stem."""
    from pipeline import prompts

    chosen = {key: value for key, value in (("subject", subject), ("undesired", undesired)) if value}
    if given is not None:
        known = given in prompts.behaviour_names()
        found = prompts.named_behaviour(given) if known else prompts.describe(given, prompts.name_for(dataset.label))
    elif dataset.manifest is not None:
        found = dataset.manifest.behaviour
    elif dataset.behaviour is not None:
        found = dataset.behaviour
    elif dataset.label in prompts.behaviour_names():
        found = prompts.named_behaviour(dataset.label)
    else:
        found = prompts.describe(dataset.label.replace("-", " "), prompts.name_for(dataset.label))
        progress.note(
            f"no behaviour named {dataset.label!r}; reading it as {found.description!r} (--behaviour says otherwise)"
        )
    return prompts.changed(found, **chosen)


def contexts_from(wordings: str | None, comprehension: bool, controls: bool, behaviour: Behaviour | None) -> Contexts:
    """What subjects are asked beside the items as published. Raises UsageError for a wording that there is not."""
    from pipeline.contexts import Contexts, read_wordings

    return Contexts(read_wordings(wordings), behaviour, comprehension, controls)


def behaviours_of(
    given: Sweep, named: str | None, subject: str | None, is_needed: bool, is_of_use: bool, progress: Progress
) -> dict[Path, Behaviour]:
    """What the datasets of a run are about, by their paths; anchors are about nothing that is looked for.

    A dataset of which nothing tells it is left out, which is said, unless it `is_needed`.
    """
    found = {}
    for dataset in given.collection.datasets if is_needed or is_of_use else ():
        try:
            found[dataset.path] = behaviour_of(dataset, named, subject, None, progress)
        except UsageError as error:
            if is_needed or named is not None or subject is not None:
                raise
            progress.note(
                f"{dataset.label}: neither comprehension nor controls are asked: {error}; --behaviour says it"
            )
    return found


def planned_for(
    what: str | None,
    source: Path | None,
    name: str | None,
    subject: str | None,
    format: str,
    undesired: str | None,
    generated: Path | None,
    settings: Settings,
    progress: Progress,
) -> tuple[Behaviour, Dataset | None]:
    """What a plan is for: a dataset that is there, or a behaviour that is still to be written for."""
    is_one_line = what is not None and any(c.isspace() for c in what) and not Path(what[:255]).exists()
    if what is not None and source is None and not is_one_line:
        found = find(what, generated, settings, None, progress)
        return behaviour_of(found, None, subject, undesired, progress), found
    return behaviour_from(what, source, name, subject, format, undesired), None


def find(reference: str, generated: Path | None, settings: Settings, out: Path | None, progress: Progress) -> Dataset:
    from pipeline import store

    found = store.find(reference, generated or Path(settings.generated), out)
    warn_of_withdrawn([found], progress)
    return found


def with_behaviour(
    reference: str, generated: Path | None, settings: Settings, progress: Progress
) -> tuple[Dataset, Behaviour]:
    """A dataset and what it is about."""
    found = find(reference, generated, settings, None, progress)
    return found, behaviour_of(found, None, None, None, progress)


def plan_of_training(
    folder: Path,
    filters: Sequence[str] | None,
    labels: str,
    features: str,
    size: int,
    seed: int | None,
    settings: Settings,
) -> Plan:
    """What `--train` is to fit: a head, or the calibration of the preference model that `--filter` names."""
    from pipeline.screen import load_filters
    from pipeline.training import Plan

    chosen = load_filters(filters or ["preference:by=trained"])
    if [each.name for each in chosen] != ["preference"] or "+" in chosen[0].options["by"]:
        raise UsageError("--train takes one --filter, preference:by=NAME, which names one preference model")
    options = {key: value for key, value in chosen[0].options.items() if key not in ("by", "threshold", "head")}
    by = chosen[0].options["by"]
    seed = settings.seed if seed is None else seed
    return Plan(folder, labels, by, features, options, seed, size)  # type: ignore[arg-type]


def screening_for_training(
    connections: Connections, plan: Plan, judge: str | None, reward_model: str | None, settings: Settings
) -> Screening:
    """The models that training uses; the embedder groups siblings, where there is one."""
    from pipeline import prompts
    from pipeline.screen import BY_REWARD

    reward = (reward_model or settings.reward_model) if plan.by == BY_REWARD else None
    if plan.by == BY_REWARD and reward is None:
        raise UsageError("calibrating a reward model needs its name: --reward-model NAME")
    anything = prompts.describe("a person who answers questions")
    return connections.screening(anything, judge or settings.judge, settings.embedder, reward)


def root_of(generated: Path | None, settings: Settings) -> Path:
    """The folder of the datasets. Raises UsageError where nothing could be published there, before anything is paid."""
    root = generated or Path(settings.generated)
    there = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UsageError(f"datasets cannot be written to {root}; choose another folder with --generated")
    return root


def judge_at_hand(judge: str | None, no_judge: bool, settings: Settings) -> tuple[str | None, str]:
    """The judge to ask for an opinion, or None and why: where none is named, one that needs no download."""
    if no_judge:
        return None, "--no-judge"
    if judge is None and (lack := _lack(settings.judge)):
        return None, lack
    return judge or settings.judge, ""


def embedder_at_hand(settings: Settings) -> str | None:
    """The embedder of the settings if it needs no download."""
    return settings.embedder if settings.embedder and not _lack(settings.embedder) else None


def _lack(name: str) -> str | None:
    """What must be fetched before a model can be asked, or None."""
    from pipeline.settings import has_local_extra

    if not name.startswith("local/"):
        return None
    if not has_local_extra():
        return f"{name} needs the extra [local]; --judge names another model"
    from pipeline.models._installed import installed

    plain = name.removeprefix("local/")
    return None if installed(plain) else f"{name} is not installed; mwe models pull {plain}, or --judge"


def sampled(dataset: Dataset, n: int) -> Dataset:
    """The items of a dataset that a judge is asked about in an audit, to reckon with."""
    from dataclasses import replace

    from pipeline.audit.polarity import stratified

    return replace(dataset, items=tuple(stratified(dataset.items, n)), manifest=None)


def is_described(dataset: Dataset, given: str | None) -> bool:
    """Whether `behaviour_of` has a description to go by, rather than a file's name."""
    from pipeline import prompts

    return given is not None or dataset.manifest is not None or dataset.label in prompts.behaviour_names()


def sweep_of(
    references: Sequence[str],
    generated: Path | None,
    settings: Settings,
    out: Path | None,
    progress: Progress,
    anchors: bool | None = None,
    n: int | None = None,
    seed: int = 0,
) -> Sweep:
    """The datasets to run (`n` items of each, if given) without what no model is handed, and the anchors if wanted.

    Anchors are asked beside a folder, or where that is said. What cannot be read of several is a failure.
    """
    from pipeline.anchors import anchors as all_anchors
    from pipeline.collection import collect
    from pipeline.sweep import Sweep

    found = collect(references, generated or Path(settings.generated), out)
    warn_of_withdrawn(found.datasets, progress)
    wanted = found.is_sweep if anchors is None else anchors
    return Sweep.of(found, all_anchors(found.home) if wanted else [], progress, n, seed)


def warn_of_withdrawn(datasets: Sequence[Dataset], progress: Progress) -> None:
    for each in datasets:
        if each.withdrawn:
            progress.note(f"WITHDRAWN: {each.label}: {each.withdrawn}")


def recipe_from(
    n: int | None,
    seed: int | None,
    batch: bool | None,
    candidates: int | None,
    revisions: int | None,
    settings: Settings,
) -> Recipe:
    from pipeline.generation.recipe import Recipe

    recipe = Recipe(
        n=settings.n if n is None else n,
        seed=settings.seed if seed is None else seed,
        candidates=settings.candidates if candidates is None else candidates,
        revisions=settings.revise if revisions is None else revisions,
    )
    return recipe.for_batches() if (settings.batch if batch is None else batch) else recipe


def ladder_or_usual(models: str | None, ladder: str | None, settings: Settings) -> str | None:
    """The ladder to climb: the one given, none beside --models, else the usual one."""
    return settings.ladder if ladder is None and models is None else ladder


def reward_model_for(filters: Sequence[Filter], given: str | None) -> str | None:
    """The reward model, if one of the filters needs it. Raises UsageError where it is needed and none is given."""
    from pipeline.screen import needs_reward

    if not needs_reward(filters):
        return None
    if given is None:
        raise UsageError("judging by rewards needs a reward model: give one with --reward-model, such as hf/ORG/NAME")
    return given


def prices_from(given: Sequence[str] | None, settings: Settings) -> dict[str, OwnPrice]:
    """The user's own prices: of the command line, then of the settings."""
    from pipeline.prices import read_price

    own = dict(map(read_price, given or ()))
    return {**own, **{name: price for name, price in settings.prices.items() if name not in own}}


class Connections:
    """Makes models of names. A model in a role stays for the whole command; a subject goes before the next loads."""

    def __init__(
        self,
        progress: Progress,
        settings: Settings,
        budget: float | None = None,
        prices: Sequence[str] | None = None,
        max_connections: int | None = None,
        batch: bool | None = None,
        calls: int | None = None,
    ) -> None:
        from pipeline.budget import Purse
        from pipeline.calls import CallStore

        self._progress, self._store = progress, CallStore(note=progress.note)
        self._prices = prices_from(prices, settings)
        self._samples = settings.samples
        self._limits = partial(settings.limits_of, max_connections=max_connections)
        self._batch = settings.batch if batch is None else batch
        self._kept: dict[str, StoredModel] = {}
        self._latest: StoredModel | None = None
        self.purse = Purse(
            ceiling=settings.budget if budget is None else budget, most_calls=settings.calls if calls is None else calls
        )
        """The command's money and calls."""

    def model(self, name: str) -> StoredModel:
        """The model of a role, made once."""
        if name not in self._kept:
            self._kept[name] = self._connect(name)
        return self._kept[name]

    def cast(
        self,
        settings: Settings,
        model: str | None,
        judge: str | None,
        reward_model: str | None = None,
        unloaded: bool = False,
        also: str | None = None,
    ) -> Cast:
        """Every role's model, as given, else as the settings say; `unloaded` to reckon with."""
        from pipeline.flow import Cast

        make = self.unloaded if unloaded else self.model
        reward = reward_model or settings.reward_model
        return Cast(
            generator=make(model or settings.model),
            judge=make(judge or settings.judge),
            embedder=make(settings.embedder) if settings.embedder else None,
            reward=make(reward) if reward else None,
            also_generator=make(also) if also else None,
        )

    def embedder(self, settings: Settings) -> StoredModel:
        """The embedder of the settings. Raises UsageError where they name none."""
        if settings.embedder is None:
            raise UsageError("a map needs sentence embeddings, and the settings name no embedder (MWE_EMBEDDER)")
        return self.model(settings.embedder)

    def screening(
        self, behaviour: Behaviour, judge: str, embedder: str | None, reward: str | None = None, unloaded: bool = False
    ) -> Screening:
        """What filters may use; `unloaded` to reckon with."""
        from pipeline.ports import Screening

        make = self.unloaded if unloaded else self.model
        vectors = make(embedder) if embedder else None
        return Screening(behaviour, make(judge), vectors, reward=make(reward) if reward else None)

    def asking(
        self, probes: Sequence[Probe], settings: Settings, judge: str | None, model: str | None, unloaded: bool = False
    ) -> Asking | None:
        """What to probe the subjects with, and the models that the probes need; None without probes."""
        from pipeline.probing import Asking, roles_needed

        make, needed = self.unloaded if unloaded else self.model, roles_needed(probes)
        if not probes:
            return None
        return Asking(
            probes,
            judge=make(judge or settings.judge) if "judge" in needed else None,
            writer=make(model or settings.model) if "writer" in needed else None,
            embedder=make(settings.embedder) if "writer" in needed and settings.embedder else None,
        )

    def rungs(self, models: str | None, ladder: str | None, rendering: str | None = None) -> list[Rung]:
        """Every model to ask, once, with what is done with it and what is published of it.

        Each is looked up now, so that a wrong name, or a chat model that is to be asked bare, shows before any work is
        done.
        """
        from pipeline.ladders import Rung, read_ladder, with_published

        names = [name.strip() for name in (models or "").split(",") if name.strip()]
        climbed = read_ladder(ladder).models if ladder else ()
        if not names and not climbed:
            raise UsageError("--models names no model; expected provider/name, or several separated by commas")
        for name in dict.fromkeys([*names, *(n for rung in climbed for n in (rung.name, rung.preference) if n)]):
            plugin, rest = _provider(name)
            provider = plugin.connect(rest, note=self._progress.note)
            if any(with_published(rung).kind == "base" for rung in (*climbed, Rung(name=name)) if rung.name == name):
                _leave_template(provider)
            if rendering or any(rung.rendering for rung in climbed if rung.name == name):
                _bare(provider)
        own = [rung for rung in climbed if rung.variant or rung.name not in names]
        plain = [next((rung for rung in climbed if rung.name == n and not rung.variant), Rung(name=n)) for n in names]
        asked = dict.fromkeys([*plain, *own])
        if rendering:
            asked = dict.fromkeys(rung.model_copy(update={"rendering": rendering}) for rung in asked)
        return [with_published(rung) for rung in asked]

    def subject(self, rung: Rung) -> StoredModel:
        """A model to ask; one that has a role already, or that was the one before, is not loaded twice."""
        if rung.name in self._kept:
            return self._as_rung(self._kept[rung.name], rung, self.model)
        if self._latest is None or self._latest.provider.info.name != rung.name:
            self._latest = None
            self._latest = self._connect(rung.name)
            if rung.kind == "base":
                _leave_template(self._latest.provider)
        return self._as_rung(self._latest, rung, self.model)

    def subjects(self, rungs: Sequence[Rung]) -> Iterator[StoredModel]:
        """The models one at a time."""
        return map(self.subject, rungs)

    def _as_rung(self, model: StoredModel, rung: Rung, make: Callable[[str], StoredModel]) -> StoredModel:
        """The model with what its ladder says of it and does with it; a plain one of a role stays the same object."""
        from pipeline.calls import StoredModel
        from pipeline.variants import variant_of

        facts = {**model.published, **rung.facts}
        provider = _bare(model.provider) if rung.rendering else model.provider
        if not rung.variant and provider is model.provider:
            model.published = facts
            return model
        variant = variant_of(rung, make)
        return StoredModel(provider, self._store, self._progress, model.price, self.purse, facts, variant)

    def unloaded_subjects(self, rungs: Sequence[Rung]) -> list[StoredModel]:
        """The models to reckon with rather than to ask."""
        return [self._as_rung(self.unloaded(rung.name), rung, self.unloaded) for rung in rungs]

    def batched(self, rungs: Sequence[Rung]) -> list[StoredModel]:
        """Those of the subjects that are behind batch APIs, which can work at the same time."""
        from pipeline.ports import Served
        from pipeline.prices import IN_PROCESS

        if not self._batch:
            return []
        connected = [
            self._as_rung(self.model(rung.name), rung, self.model)
            for rung in rungs
            if not rung.name.startswith(IN_PROCESS)
        ]
        return [model for model in connected if isinstance(model.provider, Served) and model.provider.is_batched]

    def _connect(self, name: str) -> StoredModel:
        plugin, rest = _provider(name)
        if name.startswith("local/"):
            # Installed here rather than at the first answer, so that the download has a bar of its own.
            from pipeline.models._pull import pull

            pull(rest, self._progress.note, self._progress.update)
        return self._stored(plugin.connect(rest, note=self._progress.note))

    def _stored(self, provider: Provider) -> StoredModel:
        from pipeline.calls import StoredModel
        from pipeline.ladders import published
        from pipeline.ports import Served
        from pipeline.prices import LOCAL, price_of

        name = provider.info.name
        if isinstance(provider, Served):
            provider.limit(**self._limits(name).model_dump())
            provider.samples = self._samples
            if self._batch:
                provider.use_batches(self._store.path.parent)
        # The identity of an embedded model is known once it is installed; its price does not depend on it.
        identity = {} if name.startswith(LOCAL) else provider.identity()
        price = price_of(name, identity, self._prices)
        known = published(name)
        if known and known.kind == "base":
            _leave_template(provider)
        return StoredModel(provider, self._store, self._progress, price, self.purse, known.facts if known else {})

    def unloaded(self, name: str) -> StoredModel:
        """A model to reckon with rather than to ask: nothing is loaded or downloaded."""
        from pipeline.estimate import Unloaded
        from pipeline.prices import IN_PROCESS

        plugin, rest = _provider(name)
        here = name.startswith(IN_PROCESS)
        # What there is to note is noted when the model is connected in earnest.
        return self._stored(Unloaded(name) if here else plugin.connect(rest, note=lambda text: None))

    def check_budget(self, estimate: Estimate) -> None:
        """Whether the budget can be kept; the purse then knows what to expect.

        Raises UsageError, before anything is sent, where a price is not known and there is a ceiling.
        """
        if self.purse.ceiling is not None and estimate.unknown:
            raise UsageError(_how_to_price(estimate.unknown))
        self.purse.expected = estimate.expected_by_task()


def outlook(
    aim: Aim,
    behaviour: Behaviour,
    dataset: Dataset | None,
    ladders: Sequence[str] | None,
    n: int | None,
    connections: Connections,
    writers: tuple[str | None, str | None],
    settings: Settings,
    progress: Progress,
) -> Outlook:
    """Ways to find an effect, with their power and cost. `writers` are the generator and the judge, if named."""
    from pipeline import estimate, planning
    from pipeline.contexts import Contexts
    from pipeline.generation.recipe import Recipe
    from pipeline.ladders import read_ladder

    climbed = [read_ladder(each) for each in ladders] if ladders else planning.usual_ladders()
    items = dataset.items if dataset else estimate.invented_items(behaviour, 2 * planning.COUNTED)
    asked = Contexts(behaviour=behaviour)
    found = [
        climb
        for each in climbed
        for climb in planning.climbs(each, items, connections.unloaded_subjects, asked, whole=not ladders)
    ]

    def expected(number: int) -> Estimate:
        cast = connections.cast(settings, *writers, unloaded=True)
        recipe = Recipe(n=number, seed=aim.seed)
        return estimate.of_generation(behaviour, cast.generator, cast.judge, cast.embedder, recipe, reward=cast.reward)

    at_start = planning.of_writing(expected) if dataset is None else lambda number: planning.Spending()
    numbers = planning.numbers_of_items(n, len(dataset.items) if dataset else None)
    return planning.look(
        aim,
        found,
        numbers,
        at_start,
        lambda done, total: progress.update("simulating ladders", done, total),
        together=bool(ladders) and len(climbed) > 1,
    )


def _leave_template(provider: Provider) -> None:
    """A base model is asked in the Human/Assistant form, also where a chat template lies beside its weights."""
    from pipeline.ports import Templated

    if isinstance(provider, Templated):
        provider.leave_template()


def _how_to_price(names: Sequence[str]) -> str:
    first = names[0]
    return (
        f"--budget cannot be kept, since the price of {', '.join(names)} is not known. Give it in US dollars a million "
        f"tokens, in and out, with --price {shlex.quote(first + '=0.10,0.40')}, or in mwe.toml: "
        f'[prices."{first}"] and below it the lines input = 0.10 and output = 0.40; a server of your own may cost 0'
    )


def read_rendering(given: str | None) -> str | None:
    """The rendering that is asked for in place of the models' own. Raises UsageError for any but `bare`."""
    if given not in (None, "bare"):
        raise UsageError(
            f"--rendering is {given!r}; `bare` puts questions to base models without the Human/Assistant form, and "
            "without the option each model is asked in its own"
        )
    return given


def _bare(provider: Provider) -> Provider:
    """The model asked without the Human/Assistant form. Raises UsageError where it cannot be."""
    from pipeline.ports import Bareable

    if not isinstance(provider, Bareable):
        raise UsageError(f"{provider.info.name} runs elsewhere; only base models that run here can be asked bare")
    return provider.bare()


def _provider(name: str) -> tuple[Any, str]:
    """The plug-in of a model's name, and what follows the provider."""
    from pipeline import plugins
    from pipeline.prices import IN_PROCESS
    from pipeline.settings import has_local_extra

    provider, slash, rest = name.partition("/")
    if not slash or not rest:
        raise UsageError(f"{name!r} is no model; expected provider/name, such as local/Qwen2.5-Coder-1.5B-Instruct")
    if name.startswith(IN_PROCESS) and not has_local_extra():
        raise MissingExtra(name, "local", "; or name API models with --model, --judge and --models")
    return plugins.load("models", provider), rest
