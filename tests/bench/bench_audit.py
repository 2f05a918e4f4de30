"""The audit against what is known to be wrong with the published data, and how often it is wrong itself.

Usage: python tests/bench/bench_audit.py [--size quick|full]
Audits every persona and advanced-ai-risk file of the reference data, without a judge, and looks for every fault that is
known of them: fault -> file -> finding -> found or not, and which other tool finds it.
Then clean datasets of 200 and 1,000 published texts with labels at random (at most 5 % may be stopped), cues planted in
65 % of the items (which should be found), and seconds a file.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline import plugins, prompts, store
from pipeline.audit import polarity
from pipeline.audit.examine import examine
from pipeline.audit.findings import CHANCE, MARGIN, Audit, Finding
from pipeline.audit.gate import meaning_free_accuracy
from pipeline.audit.sides import take_apart
from pipeline.calls import CallStore, StoredModel
from pipeline.schema import Item
from pipeline.statistics.similarity import clusters

RUNS = {"quick": (100, 30), "full": (400, 100)}
"""Clean datasets of 200 and of 1,000 items, of each form."""
LM, HUMAN, GOLD = "lm_generated_evals", "human_generated_evals", "prompts_for_few_shot_generation"
REVERSED = ("survival-instinct", "power-seeking-inclination", "wealth-seeking-inclination")
AGREEING = ("power-seeking-inclination", "wealth-seeking-inclination", "coordinate-other-ais", "corrigible-neutral-HHH")


class Fault(NamedTuple):
    """A known fault: the files that have it, and the finding that should say so."""

    name: str
    group: str
    files: tuple[str, ...]
    """Empty for all files of the group, of which at least `share` must show it."""
    cue: str
    share: float = 1.0
    peer: str = "none"
    """Which of the tools that were run on these files finds it (see PEERS)."""


PEERS = """\
No command of Inspect, lm-evaluation-harness, DataDesigner, curator, distilabel, deepeval, promptfoo or petri_bloom that
looks at a dataset for cues was found in their documentation. Near to it, and run on these files in 2026-11:
inspect-dataset 0.6.0 (a companion to Inspect by others) finds exact duplicates, and would find an answer that 85 % of
the items share; cleanlab 2.9.0's Datalab (TF-IDF features, cross-validated probabilities) finds near duplicates, and
calls the persona files' rows dependent on their order without saying how."""

_ORDER, _EXACT, _NEAR = "cleanlab: order matters", "inspect-dataset", "cleanlab"
_UNSURE = "desire-to-remove-safety-precautions-to-be-more-helpful"
_COPIED = ("one-box-tendency", "myopic-reward", "survival-instinct")

FAULTS = (
    Fault("rows alternate between the labels", "persona", (), "row order: label"),
    Fault("rows are sorted by confidence", "persona", (), "row order: confidence", peer=_ORDER),
    Fault("labels are hardly sure", "persona", (_UNSURE,), "label confidence"),
    Fault("exact duplicates", LM, _COPIED, "exact duplicates", peer=_EXACT),
    Fault("near duplicates (worst file)", "persona", ("believes-life-has-no-meaning",), "near duplicates", peer=_NEAR),
    Fault("near duplicates (mean 7 %)", "persona", (), "near duplicates", 0.5, peer=_NEAR),
    Fault("length finds the matching choice", LM, ("myopic-reward", "survival-instinct"), "length"),
    Fault("a negation predicts the label (mean 64 %)", "persona", (), "negation", 0.5),
    Fault("a bag of words predicts the label (mean 85 %)", "persona", (), "bag of words"),
    Fault("the matching choice is the agreeing one", LM, AGREEING, "acquiescence"),
    Fault("agreeing to everything scores", LM, AGREEING, "always agree"),
    Fault("labels run the other way", HUMAN, REVERSED, polarity.GOLD_CUE),
    Fault("layout is inconsistent", LM, (), "inconsistent layout"),
)
"""What the reference data's README lists."""


def main() -> None:
    """Print a table on stderr and a JSON line a figure on stdout."""
    args = _arguments()
    print(PEERS, file=sys.stderr)
    folder = Path(os.environ.get("MWE_REFERENCE", "../shared/reference"))
    if not folder.is_dir():
        sys.exit("the reference data is not there; set MWE_REFERENCE to its folder")
    audits = audit_all(folder)
    for fault in FAULTS:
        show_fault(fault, audits[fault.group])
    show_unreversed(audits)
    stopped = {group: sum(not audit.passed for audit in own.values()) for group, own in audits.items()}
    for group, own in audits.items():
        _show(f"files stopped, {group}", stopped[group], f"of {len(own)} files")
    for name, low, high in wrongly(folder, *RUNS[args.size]):
        _show(name, low, "share of runs", target=high)


def audit_all(folder: Path) -> dict[str, dict[str, Audit]]:
    """The audit of every file, by group and name; the risk files with the gold items of their name."""
    embedder = StoredModel(plugins.load("models", "local").connect("all-MiniLM-L6-v2", note=print), CallStore())
    audits: dict[str, dict[str, Audit]] = {"persona": {}, LM: {}, HUMAN: {}}
    seconds = []
    for group, own in audits.items():
        home = folder if group == "persona" else folder / "advanced-ai-risk"
        for path in sorted((home / group).glob("*.jsonl")):
            items, start = store.find(str(path), folder).items, time.perf_counter()
            known = path.stem in prompts.behaviour_names()
            behaviour = prompts.named_behaviour(path.stem) if known else prompts.describe(path.stem.replace("-", " "))
            own[path.stem] = examine(items, behaviour)
            seconds.append(time.perf_counter() - start)
            gold = home / GOLD / path.name
            if gold.is_file():
                compared = polarity.compared(items, store.find(str(gold), folder).items, embedder.embed)
                findings = [*own[path.stem].findings, compared]
                own[path.stem] = Audit(passed=not any(each.gate for each in findings), findings=findings)
    _show("seconds a file without judge and gold, median", statistics.median(seconds), "s", runs=seconds)
    return audits


def show_fault(fault: Fault, audits: dict[str, Audit]) -> None:
    """One line a file that should show the fault, or the share of all files that do."""
    found = {name: _finding(audit, fault.cue) for name, audit in audits.items() if name in (fault.files or audits)}
    if fault.files:
        for name, each in found.items():
            _row(fault, f"{fault.group}/{name}", each, bool(each.found))
        return
    values = [each.value for each in found.values() if each.value is not None]
    share = sum(bool(each.found) for each in found.values()) / len(found)
    mean = Finding(
        cue=fault.cue, value=round(statistics.fmean(values), 4), low=min(values), high=max(values),
        gate=None, found=share >= fault.share, limit=None, unit="mean, range over files", n=len(found),
    )  # fmt: skip
    _row(fault, f"{fault.group}: {100 * share:.0f} % of {len(found)} files", mean, share >= fault.share)


def show_unreversed(audits: dict[str, dict[str, Audit]]) -> None:
    """The files whose labels run as the gold items' must not be called reversed."""
    for group in (LM, HUMAN):
        right = {name: audit for name, audit in audits[group].items() if group == LM or name not in REVERSED}
        wrong = [name for name, audit in right.items() if _finding(audit, polarity.GOLD_CUE).gate]
        _show(f"files wrongly called reversed, {group}", len(wrong), f"of {len(right)} files", target=0)


def wrongly(folder: Path, small: int, large: int) -> Iterator[tuple[str, float, float | None]]:
    """Shares of runs in which the gate closes: on clean datasets, and with a cue planted in 65 % of the items."""
    for form, pattern in (("statements", "persona/*.jsonl"), ("choices", f"advanced-ai-risk/{LM}/*.jsonl")):
        pool = [item for path in sorted(folder.glob(pattern)) for item in store.find(str(path), folder).items]
        pool = list({item.text: item for item in pool}.values())
        for n, runs in ((200, small), (1_000, large)):
            drawn = [_relabelled(pool, n, f"{form} {n} {run}") for run in range(runs)]
            means = [_gate(items) for items in drawn]
            yield f"clean {form} stopped, n = {n:,}", sum(low > CHANCE + MARGIN for _, low in means) / runs, 0.05
            cut = sum(value > CHANCE + MARGIN for value, _ in means) / runs
            yield f"clean {form} that a plain cut at .55 would stop, n = {n:,}", cut, None
            planted = [
                _gate([_planted(item, n, run) for item in items]) for run, items in enumerate(drawn[: runs // 2])
            ]
            found = sum(low > CHANCE + MARGIN for _, low in planted) / len(planted)
            yield f"planted length cue of .65 found, {form}, n = {n:,}", found, None


def _gate(items: Sequence[Item]) -> tuple[float, float]:
    sides = take_apart(items)
    value, interval = meaning_free_accuracy(sides, clusters([item.text for item in items]))
    return value, interval.low


def _relabelled(pool: Sequence[Item], n: int, seed: str) -> list[Item]:
    """Published texts whose labels say nothing: half of each, at random."""
    draw = random.Random(seed)
    labels = [i % 2 == 0 for i in range(n)]
    draw.shuffle(labels)
    return [_labelled(item, label) for item, label in zip(draw.sample(pool, n), labels, strict=True)]


def _labelled(item: Item, first: bool) -> Item:
    one, two = item.options if first else item.options[::-1]
    return item.model_copy(update={"answer_matching_behavior": one, "answer_not_matching_behavior": two})


def _planted(item: Item, n: int, run: int) -> Item:
    """The item, longer by some words on the matching side in 65 % of the cases, on the other in the rest."""
    follows = random.Random(f"{item.id} {n} {run}").random() < 0.65
    tail = " and then once again, with all that this takes and for as long as it takes"
    if item.statement is not None:
        return item.model_copy(update={"statement": item.statement + tail}) if _is_yes(item) == follows else item
    letter = (item.answer_matching_behavior if follows else item.answer_not_matching_behavior).strip()
    head, mark, rest = item.question.rpartition(letter)
    line, end, after = rest.partition("\n")
    return item.model_copy(update={"question": f"{head}{mark}{line}{tail}{end}{after}"})


def _is_yes(item: Item) -> bool:
    return item.answer_matching_behavior == item.options[0]


def _finding(audit: Audit, cue: str) -> Finding:
    return next(each for each in audit.findings if each.cue == cue)


def _row(fault: Fault, where: str, finding: Finding, found: bool) -> None:
    ends = f"{finding.low:.2f} to {finding.high:.2f}"
    cells = (
        fault.name,
        where,
        finding.cue,
        f"{finding.value:.2f}",
        ends,
        "found" if found else "NOT FOUND",
        fault.peer,
    )
    print(f"| {' | '.join(cells)} |", file=sys.stderr, flush=True)
    more = {"found": found, "cue": finding.cue, "low": finding.low, "high": finding.high, "peer": fault.peer}
    _print(f"{fault.name}: {where}", finding.value, finding.unit, **more)


def _show(figure: str, value: float, unit: str, target: float | None = None, runs: Sequence[float] = ()) -> None:
    print(f"{figure}: {value:.3g} {unit}", file=sys.stderr, flush=True)
    _print(figure, value, unit, target=target, runs=[round(run, 3) for run in runs])


def _print(figure: str, value: float | None, unit: str, **more: object) -> None:
    line = {"bench": "audit", "figure": figure, "value": value, "unit": unit, "peer": None, "limit": None}
    print(json.dumps({**line, "target": None, "runs": [], **more}), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=RUNS, default=os.environ.get("SIZE", "quick"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
