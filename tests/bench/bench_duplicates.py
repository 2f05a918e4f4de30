"""Duplicates among many statements: time, memory and what is found, against distilabel's MinHash step and semhash.

Usage: python tests/bench/bench_duplicates.py [--size quick|full] [--peers PYTHON]
PYTHON (or MWE_PEERS) is an interpreter with distilabel 1.5, datasketch 1.6, nltk and semhash; without it our own
figures are given.
Sides take turns, a process each, and seconds are counted in the process once everything is in memory. The machine may
be busy with other things, so processor seconds stand beside them.

near      Statements of the published persona data, and made from them by exchanging four in five of the rarer words.
          One in ten is a planted copy of an earlier one: half with another case, punctuation and invisible characters,
          half with a word exchanged or dropped, so that the Jaccard index stays at .6 or more.
          Both sides compare words at a threshold of .6; the limit is reading and hashing the same lines once.
semantic  MiniLM vectors of the distinct published statements (and, beyond, of these turned by a random angle to a
          cosine of .5 to .8), all under one label. One in ten is a planted copy at a cosine of .93 to .99.
          Both sides have the same vectors and a threshold of .92. The limit is the matrix product of all pairs alone:
          what comparing them all takes without a bound that rules most of them out.
Recall is the share of planted copies that do not stay together with what they copy.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from filters.duplicates import AT_ONCE, Duplicates
from pipeline import plugins, prompts, store
from pipeline.calls import CallStore, StoredModel
from pipeline.formats.yes_no import question
from pipeline.ports import Screening
from pipeline.schema import Item
from pipeline.statistics.cosine import BLOCK, CosineIndex
from pipeline.statistics.similarity import words

SIZES = {"quick": ((20_000,), (10_000,), 1), "full": ((100_000, 1_000_000), (44_000, 100_000), 3)}
"""Statements, vectors, and runs of each but the largest, which is run once."""
MOST_OF_PEERS = 100_000
"""Statements that peers are given: distilabel takes some 6 GB for a million, and 8 minutes."""
NEAR, SEMANTIC = 0.6, 0.92
COMMON = 150
HERE = Path(__file__)


def main() -> None:
    """Measure, and print a JSON line a figure."""
    args = _arguments()
    if args.own:
        print(json.dumps(globals()[args.own[0]](*map(Path, args.own[1:]))))
        return
    texts = _published()
    statements, vectors, runs = SIZES[args.size]
    with tempfile.TemporaryDirectory() as name:
        for n in statements:
            near(n, texts, 1 if n > MOST_OF_PEERS else runs, args.peers, Path(name))
        if vectors:
            embedded = embed(texts[: max(vectors)])
        for n in vectors:
            semantic(n, embedded, runs, args.peers, Path(name))


def near(n: int, texts: Sequence[str], runs: int, peers: str | None, folder: Path) -> None:
    """Statements in, words compared."""
    lines, pairs = statements_with_copies(n, texts)
    file = folder / "texts"
    file.write_text("\n".join(lines))
    sides = {"mwe": [sys.executable, HERE, "--own", "own_near", file]}
    if peers and n <= MOST_OF_PEERS:
        sides["distilabel"] = [peers, HERE.with_name("_peer_duplicates.py"), "distilabel", file, str(NEAR)]
    _compare(f"near, {n} statements", sides, runs, target=1 / 3, pairs=pairs)


def semantic(n: int, embedded: np.ndarray, runs: int, peers: str | None, folder: Path) -> None:
    """Vectors in, cosines compared."""
    vectors, pairs = vectors_with_copies(n, embedded)
    np.save(folder / "vectors.npy", vectors)
    (folder / "names").write_text("\n".join(f"statement {i}" for i in range(len(vectors))))
    sides = {"mwe": [sys.executable, HERE, "--own", "own_semantic", folder / "vectors.npy"]}
    if peers:
        files = [folder / "names", str(SEMANTIC), folder / "vectors.npy"]
        sides["semhash"] = [peers, HERE.with_name("_peer_duplicates.py"), "semhash", *files]
    _compare(f"semantic, {n} vectors", sides, runs, target=1.0, pairs=pairs)


def _compare(
    name: str, sides: dict[str, list[Any]], runs: int, target: float, pairs: Sequence[tuple[int, int]]
) -> None:
    """Run the sides in turn and print their figures and, for each peer, the ratio of each round."""
    results: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for _ in range(runs):
        for side, command in sides.items():
            done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True)
            results[side].append(json.loads(done.stdout))
    for side, rounds in results.items():
        limit = rounds[0].get("limit")
        _show(f"{name}: {side}", [each["seconds"] for each in rounds], "s", limit=limit)
        _show(f"{name}: {side}, processor", [each["cpu"] for each in rounds], "s")
        if "before_mb" in rounds[0]:
            _show(f"{name}: {side}, memory of the items alone", [each["before_mb"] for each in rounds], "MB")
        _show(f"{name}: {side}, peak memory", [each["peak_mb"] for each in rounds], "MB")
        _show(f"{name}: {side}, recall", [_found(pairs, set(each["dropped"])) for each in rounds], "")
        _show(f"{name}: {side}, dropped", [len(each["dropped"]) for each in rounds], "")
    for peer in sides.keys() - {"mwe"}:
        for unit in ("seconds", "cpu"):
            ratios = [a[unit] / b[unit] for a, b in zip(results["mwe"], results[peer], strict=True)]
            _show(f"{name}: share of {peer}'s {unit}", ratios, "x", peer=peer, target=target)


def own_near(file: Path) -> dict[str, Any]:
    """Our filter on the lines of a file, all under one label, as a process of its own."""
    lines = file.read_text().split("\n")
    start = time.perf_counter()
    for line in lines:
        blake2b(line.lower().encode(), digest_size=8).digest()
    limit = time.perf_counter() - start
    items = [_item(line) for line in lines]
    screening = Screening(prompts.describe("a person who likes trains"), None, None)
    Duplicates(near=NEAR).judge(items[:500], screening)
    before = _peak_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    verdicts = Duplicates(near=NEAR).judge(items, screening)
    taken = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "peak_mb": _peak_mb()}
    dropped = [place for place, verdict in enumerate(verdicts) if not verdict.keep]
    return taken | {"limit": limit, "before_mb": before, "dropped": dropped}


def own_semantic(file: Path) -> dict[str, Any]:
    """Our index of vectors, all in one group, as a process of its own."""
    vectors = np.load(file)
    n = len(vectors)
    start = time.perf_counter()
    for row in range(0, n, BLOCK):
        for column in range(0, row + 1, BLOCK):
            vectors[row : row + BLOCK] @ vectors[column : column + BLOCK].T
    limit = time.perf_counter() - start
    wall, cpu = time.perf_counter(), time.process_time()
    index, keep = CosineIndex(SEMANTIC), np.ones(n, dtype=bool)
    rows = np.arange(n)
    for start_at in range(0, n, AT_ONCE):
        part, first = slice(start_at, min(start_at + AT_ONCE, n)), len(index)
        groups = np.zeros(part.stop - part.start, dtype=np.int64)
        pairs = index.pairs(vectors[part], groups)
        order = np.lexsort((pairs.earlier, pairs.later))
        for later, earlier in zip(pairs.later[order].tolist(), pairs.earlier[order].tolist(), strict=True):
            if earlier < first or keep[start_at + earlier - first]:
                keep[start_at + later - first] = False
        index.add(vectors[part][keep[part]], groups[keep[part]])
    taken = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "peak_mb": _peak_mb()}
    return taken | {"limit": limit, "dropped": rows[~keep].tolist()}


def statements_with_copies(n: int, texts: Sequence[str]) -> tuple[list[str], list[tuple[int, int]]]:
    """`n` statements in random order, and the places of each planted copy and of what it copies, which comes first."""
    draw = random.Random(f"near {n}")
    counts = Counter(word for text in texts for word in text.split())
    common = {word for word, _ in counts.most_common(COMMON)}
    rare = [word for text in texts for word in text.split() if word not in common]
    made = list(texts[: n - n // 10])
    while len(made) < n - n // 10:
        said = draw.choice(texts).split()
        made.append(" ".join(w if w in common or draw.random() < 0.2 else draw.choice(rare) for w in said))
    draw.shuffle(made)
    lines = [(float(place), text, -1) for place, text in enumerate(made)]
    for number in range(n // 10):
        source = draw.randrange(len(made))
        copy = _disguised(made[source], draw) if number % 2 else _edited(made[source], draw, rare)
        lines.append((draw.uniform(source, len(made)), copy, source))
    lines.sort(key=lambda line: line[0])
    originals = [place for place, line in enumerate(lines) if line[2] < 0]
    pairs = [(place, originals[line[2]]) for place, line in enumerate(lines) if line[2] >= 0]
    return [text for _, text, _ in lines], pairs


def _disguised(text: str, draw: random.Random) -> str:
    """The same words, written otherwise."""
    at = draw.randrange(len(text))
    return draw.choice([text.upper(), f"“{text}…”", f"{text[:at]}\u200b{text[at:]}", f"\u202e{text}!"])


def _edited(text: str, draw: random.Random, rare: Sequence[str]) -> str:
    """A word exchanged or dropped, if enough is left."""
    said = text.split()
    at = draw.randrange(len(said))
    other = " ".join([*said[:at], *([draw.choice(rare)] if draw.random() < 0.5 else []), *said[at + 1 :]])
    a, b = words(text), words(other)
    return other if len(a & b) >= NEAR * len(a | b) else _disguised(text, draw)


def vectors_with_copies(n: int, embedded: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """`n` unit vectors in random order, and the places of each planted copy and what it copies."""
    draw = np.random.default_rng(n)
    own = n - n // 10
    vectors = embedded[:own]
    while len(vectors) < own:
        more = embedded[: own - len(vectors)]
        vectors = np.vstack([vectors, _turned(more, draw.uniform(0.5, 0.8, len(more)), draw)])
    sources = draw.integers(0, own, n - own)
    copies = _turned(vectors[sources], draw.uniform(0.93, 0.99, n - own), draw)
    place = draw.permutation(n)
    every = np.empty((n, embedded.shape[1]), dtype=np.float32)
    every[place] = np.vstack([vectors, copies])
    return every, [(int(place[own + i]), int(place[source])) for i, source in enumerate(sources)]


def _turned(vectors: np.ndarray, cosines: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Each vector turned in a random direction, to the given cosine with itself."""
    aside = draw.normal(size=vectors.shape)
    aside -= (aside * vectors).sum(1, keepdims=True) * vectors
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    return (cosines[:, None] * vectors + np.sqrt(1 - cosines[:, None] ** 2) * aside).astype(np.float32)


def embed(texts: Sequence[str]) -> np.ndarray:
    """MiniLM vectors of the texts; asked once, then from the call store."""
    provider = plugins.load("models", "local").connect("all-MiniLM-L6-v2", note=lambda _: None)
    return StoredModel(provider, CallStore()).embed(texts)


def _published() -> list[str]:
    """The distinct published persona statements, in random order."""
    folder = Path(os.environ.get("MWE_REFERENCE", "../shared/reference")) / "persona"
    if not folder.is_dir():
        sys.exit("the reference data is not there; set MWE_REFERENCE to its folder")
    items = [item for path in sorted(folder.glob("*.jsonl")) for item in store.find(str(path), folder).items]
    texts = sorted({" ".join(item.text.split()) for item in items})
    random.Random(0).shuffle(texts)
    return texts


def _item(text: str) -> Item:
    return Item(
        question=question(text), statement=text, answer_matching_behavior=" Yes", answer_not_matching_behavior=" No"
    )


def _found(pairs: Sequence[tuple[int, int]], dropped: set[int]) -> float:
    return statistics.fmean(a in dropped or b in dropped for a, b in pairs)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _show(figure: str, values: Sequence[float], unit: str, **more: object) -> None:
    line = {"bench": "duplicates", "figure": figure, "value": round(statistics.median(values), 4), "unit": unit}
    line |= {"peer": None, "limit": None, "target": None} | more
    print(json.dumps(line | {"runs": [round(value, 4) for value in values]}), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default=os.environ.get("SIZE", "quick"))
    parser.add_argument(
        "--peers", default=os.environ.get("MWE_PEERS"), help="a Python interpreter that has distilabel and semhash"
    )
    parser.add_argument("--own", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
