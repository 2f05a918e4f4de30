"""The command line `mwe`: names become objects here. The only place with exit codes and output.

Data goes to stdout with --json; progress and messages go to stderr.
Exit codes: 0 done, 1 failed, 2 wrong use, 3 stopped by a gate, 130 interrupted.
Heavy modules are imported inside the verbs, so that `mwe --help` stays quick.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from pipeline.console import progress as show_progress
from pipeline.console import visible
from pipeline.errors import GateClosed, MissingExtra, PipelineError, UsageError

if TYPE_CHECKING:
    from pipeline.calls import StoredModel
    from pipeline.flow import Cast, Generated
    from pipeline.ports import Progress
    from pipeline.schema import Behaviour, Report
    from pipeline.settings import Settings
    from pipeline.store import Dataset

INTERRUPTED = 130

app = typer.Typer(
    name="mwe",
    help="Model-written evaluations: one line in, a labelled, filtered, versioned dataset and a scaling curve out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
models_app = typer.Typer(help="Embedded models: list, pull, check.", no_args_is_help=True, rich_markup_mode=None)
behaviours_app = typer.Typer(
    help="Behaviours that come with mwe: list, show.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(models_app, name="models")
app.add_typer(behaviours_app, name="behaviours")

AsJson = Annotated[bool, typer.Option("--json", help="Data as JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no messages.")]
Description = Annotated[str | None, typer.Argument(help='One line, such as "a person who enjoys travelling".')]
From = Annotated[Path | None, typer.Option("--from", help="A behaviour.toml instead of a line.")]
Name = Annotated[str | None, typer.Option(help="Name of the dataset; made from the description if absent.")]
Subject = Annotated[str | None, typer.Option(help="ai or person; read off the description if absent.")]
Format = Annotated[str, typer.Option(help="Item format.")]
Undesired = Annotated[str | None, typer.Option(help="Which way is worse: more, less or neither.")]
Writer = Annotated[str | None, typer.Option("--model", help="Generator, as provider/name.")]
Judge = Annotated[str | None, typer.Option(help="Judge, as provider/name.")]
Number = Annotated[int | None, typer.Option("-n", help="Items wanted, half of them per label.")]
Seed = Annotated[int | None, typer.Option(help="Seed of every random choice.")]
Root = Annotated[Path | None, typer.Option("--generated", help="Folder of the datasets.")]
Ladder = Annotated[str | None, typer.Option(help="A ladder of models: a name, or a .toml file.")]
Models = Annotated[str | None, typer.Option(help="Models, separated by commas.")]
Datasets = Annotated[list[str], typer.Argument(help="NAME, NAME@vN, a version folder, or a JSONL file.")]
OneDataset = Annotated[str, typer.Argument(help="NAME, NAME@vN, a version folder, or a JSONL file.")]
BehaviourOption = Annotated[str | None, typer.Option("--behaviour", help="A behaviour's name, or its description.")]
Out = Annotated[Path | None, typer.Option(help="Folder for results instead of the usual one.")]


@app.command()
def discover(
    description: Description = None,
    source: From = None,
    name: Name = None,
    subject: Subject = None,
    format: Format = "yes_no",
    undesired: Undesired = None,
    model: Writer = None,
    judge: Judge = None,
    n: Number = None,
    seed: Seed = None,
    generated: Root = None,
    ladder: Ladder = None,
    models: Models = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """All of it: a line in, a published dataset and a scaling curve out."""
    from pipeline import flow

    behaviour = _behaviour(description, source, name, subject, format, undesired)
    settings = _settings()
    with show_progress(quiet) as progress:
        subjects = _subjects(models, _ladder(models, ladder, settings), progress)
        cast = _cast(settings, model, judge, progress)
        root = generated or Path(settings.generated)
        made, report = flow.discover(behaviour, cast, subjects, _recipe(n, seed, settings), root, progress)
        _tell_generated(made, progress)
        if report is not None and made.dataset is not None:
            _tell_report(report, made.dataset, progress)
            progress.note(_next_steps(made.dataset, behaviour))
    _print_json(
        as_json, {"generate": _generated_json(made), "report": report.model_dump(mode="json") if report else None}
    )
    _close_gate(made)


@app.command()
def generate(
    description: Description = None,
    source: From = None,
    name: Name = None,
    subject: Subject = None,
    format: Format = "yes_no",
    undesired: Undesired = None,
    model: Writer = None,
    judge: Judge = None,
    n: Number = None,
    seed: Seed = None,
    generated: Root = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write, filter and publish a dataset for one line."""
    from pipeline import flow

    behaviour = _behaviour(description, source, name, subject, format, undesired)
    settings = _settings()
    with show_progress(quiet) as progress:
        cast = _cast(settings, model, judge, progress)
        root = generated or Path(settings.generated)
        made = flow.generate(behaviour, cast, _recipe(n, seed, settings), root, progress)
        _tell_generated(made, progress)
    _print_json(as_json, _generated_json(made))
    _close_gate(made)


@app.command()
def screen(
    dataset: OneDataset,
    filter: Annotated[list[str] | None, typer.Option(help="A filter's name; may be given again.")] = None,
    judge: Judge = None,
    behaviour: BehaviourOption = None,
    subject: Subject = None,
    generated: Root = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Judge a dataset again, every filter on every item."""
    from pipeline import flow
    from pipeline.ports import Screening
    from pipeline.screen import DEFAULT_FILTERS, load_filters

    settings = _settings()
    with show_progress(quiet) as progress:
        found = _find(dataset, generated, settings, None, progress)
        meant = _behaviour_of(found, behaviour, subject, None, progress)
        names = filter or list(DEFAULT_FILTERS)
        load_filters(names)
        needs_embedder = settings.embedder if "relevance" in names else None
        screening = Screening(
            behaviour=meant,
            judge=_connect(judge or settings.judge, progress),
            embedder=_connect(needs_embedder, progress) if needs_embedder else None,
        )
        verdicts = flow.screen(found, screening, names)
        for each in dict.fromkeys(verdict.filter for verdict in verdicts):
            own = [verdict for verdict in verdicts if verdict.filter == each]
            progress.note(f"{each}: would keep {sum(verdict.keep for verdict in own)} of {len(own)}")
    statements = {item.id: item.text for item in (*found.items, *found.rejected)}
    _print_json(
        as_json,
        {"verdicts": [{"id": v.id, "statement": statements[v.id], **v.model_dump(mode="json")} for v in verdicts]},
    )


@app.command()
def check(
    dataset: OneDataset,
    sample: Annotated[int, typer.Option(min=1, help="Items to look at.")] = 20,
    seed: Seed = None,
    rater: Annotated[str | None, typer.Option(help="Your name, kept beside your labels.")] = None,
    blind: Annotated[bool, typer.Option(help="Hide the label until you have answered.")] = False,
    behaviour: BehaviourOption = None,
    generated: Root = None,
    out: Out = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Spot-check a random sample, one key an item."""
    import getpass

    from pipeline.publish import now
    from pipeline.review.keyboard import keys
    from pipeline.review.terminal import WIDTH, SpotCheck
    from pipeline.store import LABELS

    settings = _settings()
    with show_progress(quiet) as progress:
        found = _find(dataset, generated, settings, out, progress)
        meant = _behaviour_of(found, behaviour, None, None, progress)
    with keys() as read_key:
        spot_check = SpotCheck(
            items=found.items,
            behaviour=meant,
            path=found.folder / LABELS,
            rater=rater or getpass.getuser(),
            read_key=read_key,
            write=_to_stderr if as_json else _write,
            width=min(WIDTH, shutil.get_terminal_size().columns),
            now=now,
            sample=sample,
            seed=settings.seed if seed is None else seed,
            blind=blind,
        )
        figures = spot_check.run()
    _print_json(as_json, {key: figures[key] for key in ("labels", "agreement", "low", "high")})


@app.command()
def run(
    datasets: Datasets,
    models: Models = None,
    ladder: Ladder = None,
    n: Annotated[int | None, typer.Option("-n", min=1, help="A random sample of so many items.")] = None,
    seed: Seed = None,
    generated: Root = None,
    out: Out = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Put datasets to models; answers and summaries go beside each dataset."""
    from pipeline import flow

    settings = _settings()
    rows: list[dict[str, Any]] = []
    with show_progress(quiet) as progress:
        found = [_find(each, generated, settings, out, progress) for each in datasets]
        _apart(found, out)
        names = _subject_names(models, _ladder(models, ladder, settings), progress)
        for subject in _connected(names, progress):
            for each in found:
                reused = subject.tally.reused
                for point, _ in flow.run(each, [subject], n, settings.seed if seed is None else seed):
                    rows.append(
                        {
                            "dataset": each.label,
                            "model": point.model,
                            "n": point.n,
                            "score": point.score,
                            "mass": point.mass,
                            "reused": subject.tally.reused - reused,
                        }
                    )
                    progress.note(
                        f"{each.label}: {point.model} score {point.score:.3f} [{point.score_low:.3f}, "
                        f"{point.score_high:.3f}], mass on valid answers {point.mass:.3f}, n {point.n}"
                    )
        for each in found:
            command = ["mwe", "report", str(each.path), *(["--out", str(out)] if out else [])]
            progress.note(f"results are in {each.folder / 'results'}; next: {shlex.join(command)}")
    _print_json(as_json, rows)


@app.command()
def report(
    datasets: Datasets,
    behaviour: BehaviourOption = None,
    subject: Subject = None,
    undesired: Undesired = None,
    generated: Root = None,
    out: Out = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Curve, verdict and page from the results that are there."""
    from pipeline import flow

    settings = _settings()
    reports = []
    with show_progress(quiet) as progress:
        found = [_find(each, generated, settings, out, progress) for each in datasets]
        _apart(found, out)
        for each in found:
            reports.append(flow.report(each, _behaviour_of(each, behaviour, subject, undesired, progress)))
            _tell_report(reports[-1], each, progress)
    _print_json(as_json, [each.model_dump(mode="json") for each in reports])


@models_app.command("list")
def models_list(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Embedded models, their licences and sizes, and which are installed."""
    from pipeline.models._installed import catalogue

    rows = [row.model_dump(mode="json") for row in catalogue()]
    if as_json:
        _print_json(True, rows)
        return
    for row in rows:
        state = "installed" if row["installed"] else f"{row['download_bytes'] / 1e6:,.0f} MB to download"
        size = f"{row['parameters'] / 1e6:,.0f}M" if row["parameters"] else ""
        _say(f"local/{row['name']:<32} {size:>7} {row['kind']:<10} {row['licence']:<11} {state}\n")


@models_app.command("pull")
def models_pull(name: str, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Download, verify and convert an embedded model."""
    from pipeline.models._pull import pull

    name = name.removeprefix("local/")
    with show_progress(quiet) as progress:
        path = pull(name, progress.note, progress.update)
        progress.note(f"local/{name} is installed in {path}")
    _print_json(as_json, {"name": name, "path": str(path)})


@models_app.command("check")
def models_check(name: str, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Verify the files of an installed model."""
    from pipeline.models._installed import check as check_installed

    with show_progress(quiet) as progress:
        findings = check_installed(name.removeprefix("local/"), progress.update)
        for finding in findings:
            progress.note(f"{'ok' if finding.passed else 'BROKEN'}: {finding.subject}: {finding.detail}")
    _print_json(as_json, [finding.model_dump(mode="json") for finding in findings])
    if not all(finding.passed for finding in findings):
        raise typer.Exit(1)


@behaviours_app.command("list")
def behaviours_list(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Behaviours that come with mwe."""
    from pipeline.prompts import behaviour_names, named_behaviour

    rows = [named_behaviour(name).model_dump(mode="json") for name in behaviour_names()]
    if as_json:
        _print_json(True, rows)
        return
    for row in rows:
        _say(f"{row['name']:<60} {row['subject']:<7} {row['description']}\n")


@behaviours_app.command("show")
def behaviours_show(name: str, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """One behaviour in full."""
    from pipeline.prompts import named_behaviour

    row = named_behaviour(name).model_dump(mode="json")
    if as_json:
        _print_json(True, row)
        return
    for key, value in row.items():
        _say(f"{key} = {json.dumps(value, ensure_ascii=False)}\n")


def main() -> NoReturn:
    """Entry point: runs a verb and turns errors into one sentence and an exit code."""
    try:
        app()
    except PipelineError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            command = shlex.join(["mwe", *sys.argv[1:]])
            _complain(f"interrupted; what was answered is kept, and the same command goes on from there: {command}")
        raise
    sys.exit(0)


def _complain(text: str) -> None:
    sys.stderr.write(f"mwe: {visible(text)}\n")


def _say(text: str) -> None:
    _write(visible(text))


def _write(text: str) -> None:
    """What a person reads: on the terminal, whichever of the two streams that is."""
    if sys.stderr.isatty() and not sys.stdout.isatty():
        _to_stderr(text)
        return
    sys.stdout.write(text)
    sys.stdout.flush()


def _to_stderr(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _print_json(wanted: bool, value: object) -> None:
    if wanted:
        sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
        sys.stdout.flush()


def _settings() -> Settings:
    from pipeline.settings import read_settings

    return read_settings()


def _behaviour(
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


def _behaviour_of(
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
    elif dataset.label in prompts.behaviour_names():
        found = prompts.named_behaviour(dataset.label)
    else:
        found = prompts.describe(dataset.label.replace("-", " "), prompts.name_for(dataset.label))
        progress.note(
            f"no behaviour named {dataset.label!r}; reading it as {found.description!r} (--behaviour says otherwise)"
        )
    return prompts.changed(found, **chosen)


def _find(reference: str, generated: Path | None, settings: Settings, out: Path | None, progress: Progress) -> Dataset:
    from pipeline import store

    found = store.find(reference, generated or Path(settings.generated), out)
    if found.withdrawn:
        progress.note(f"WITHDRAWN: {found.label}: {found.withdrawn}")
    return found


def _apart(datasets: Sequence[Dataset], out: Path | None) -> None:
    if out is not None and len(datasets) > 1:
        raise UsageError("--out holds the results of one dataset; give one dataset, or leave --out away")


def _recipe(n: int | None, seed: int | None, settings: Settings) -> Any:
    from pipeline.generate import Recipe

    return Recipe(n=settings.n if n is None else n, seed=settings.seed if seed is None else seed)


def _cast(settings: Settings, model: str | None, judge: str | None, progress: Progress) -> Cast:
    from pipeline.flow import Cast

    generator = _connect(model or settings.model, progress)
    named = judge or settings.judge
    return Cast(
        generator=generator,
        judge=generator if named == generator.info.name else _connect(named, progress),
        embedder=_connect(settings.embedder, progress) if settings.embedder else None,
    )


def _ladder(models: str | None, ladder: str | None, settings: Settings) -> str | None:
    """The ladder to climb: the one given, none beside --models, else the usual one."""
    return settings.ladder if ladder is None and models is None else ladder


def _subject_names(models: str | None, ladder: str | None, progress: Progress) -> list[str]:
    """Every model to ask, once; each is looked up now, so that a wrong name shows before any work is done."""
    from pipeline.prompts import read_ladder

    names = [name.strip() for name in (models or "").split(",") if name.strip()]
    names += read_ladder(ladder) if ladder else []
    if not names:
        raise UsageError("--models names no model; expected provider/name, or several separated by commas")
    names = list(dict.fromkeys(names))
    for name in names:
        plugin, rest = _provider(name)
        plugin.connect(rest, note=progress.note)
    return names


def _subjects(models: str | None, ladder: str | None, progress: Progress) -> Iterator[StoredModel]:
    """Names are checked now; models are made one at a time, so that one is gone before the next loads."""
    return _connected(_subject_names(models, ladder, progress), progress)


def _connected(names: Sequence[str], progress: Progress) -> Iterator[StoredModel]:
    return (_connect(name, progress) for name in names)


def _provider(name: str) -> tuple[Any, str]:
    """The plug-in of a model's name, and what follows the provider."""
    from pipeline import plugins
    from pipeline.settings import has_local_extra

    provider, slash, rest = name.partition("/")
    if not slash or not rest:
        raise UsageError(f"{name!r} is no model; expected provider/name, such as local/Qwen2.5-Coder-1.5B-Instruct")
    if provider in {"local", "hf"} and not has_local_extra():
        raise MissingExtra(name, "local")
    return plugins.load("models", provider), rest


def _connect(name: str, progress: Progress) -> StoredModel:
    from pipeline.calls import CallStore, StoredModel

    plugin, rest = _provider(name)
    if name.startswith("local/"):
        # Installed here rather than at the first answer, so that the download has a bar of its own.
        from pipeline.models._pull import pull

        pull(rest, progress.note, progress.update)
    return StoredModel(plugin.connect(rest, note=progress.note), CallStore(), progress)


def _generated_json(made: Generated) -> dict[str, Any]:
    dataset, manifest = made.dataset, made.dataset.manifest if made.dataset else None
    return {
        "version": manifest.version if manifest else None,
        "path": str(dataset.path) if dataset else None,
        "items": len(dataset.items) if dataset else 0,
        "counts": made.written.counts,
        "cost": made.calls.cost,
        "calls": made.calls.model_dump(mode="json"),
        "new": made.is_new,
    }


def _tell_generated(made: Generated, progress: Progress) -> None:
    if made.dataset is None:
        return
    calls = f"{made.calls.made:,} calls made, {made.calls.reused:,} reused"
    if made.is_new:
        progress.note(
            f"published {made.dataset.label}: {len(made.dataset.items)} items in {made.dataset.path} ({calls})"
        )
    else:
        progress.note(f"nothing new: the same items are {made.dataset.label} in {made.dataset.path} ({calls})")


def _close_gate(made: Generated) -> None:
    """Exit 3 where fewer items passed than were wanted, saying which filter ate how many."""
    written = made.written
    if not written.is_short:
        return
    eaten = [f"{number} by {name}" for name, number in written.dropped.most_common()]
    eaten += [f"{written.unparsed} unreadable"] if written.unparsed else []
    eaten += [f"{written.refused} refused"] if written.refused else []
    kept = f"{len(written.kept)} items are published" if made.dataset else "nothing is published"
    raise GateClosed(
        f"{len(written.kept)} of {written.requested} items passed after {written.written} candidates; "
        f"dropped: {', '.join(eaten) or 'none'}. {kept}. A stronger --model and --judge, "
        "or a description that says more plainly what such a one says, gives more."
    )


def _tell_report(report: Report, dataset: Dataset, progress: Progress) -> None:
    for point in report.points:
        low, high = 100 * point.score_low, 100 * point.score_high
        progress.note(
            f"  {point.model}: {100 * point.score:.1f} % match [{low:.1f}, {high:.1f}], "
            f"mean probability {point.mean_probability:.3f}, mass {point.mass:.3f}, n {point.n}"
        )
    trend = report.trend
    slope = (
        "" if trend.slope_points_per_decade is None else f", slope {trend.slope_points_per_decade:+.1f} points a decade"
    )
    progress.note(f"trend: {trend.verdict}{slope}" + (f"; to decide it: {trend.needs}" if trend.needs else ""))
    for file, what in (("report.html", "page"), ("scaling.png", "plot"), ("report.json", "data")):
        progress.note(f"{what + ':':8} {dataset.folder / file}")


def _next_steps(dataset: Dataset, behaviour: Behaviour) -> str:
    line = shlex.quote(behaviour.description)
    return (
        f"dataset: {dataset.path}\n"
        f"next:    mwe check {dataset.label}   (spot-check a sample)\n"
        f"better models: ANTHROPIC_API_KEY=… mwe discover {line} --model anthropic/claude-sonnet-4-5 "
        "--judge anthropic/claude-sonnet-4-5\n"
        f"more sizes:    mwe run {dataset.label} --models hf/Qwen/Qwen2.5-3B-Instruct && mwe report {dataset.label}"
    )


if __name__ == "__main__":
    main()
