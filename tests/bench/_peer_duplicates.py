"""What other libraries do with the same statements, in an environment of their own: a JSON object on stdout.

Usage: PYTHON tests/bench/_peer_duplicates.py distilabel TEXTS THRESHOLD
       PYTHON tests/bench/_peer_duplicates.py semhash TEXTS THRESHOLD VECTORS.npy
TEXTS is a file with a statement a line. Seconds count from the statements (and vectors) in memory to the answer.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

STEP = 500
"""Rows of a batch of distilabel's step, as in its documentation."""


def distilabel(texts: list[str], threshold: float) -> list[bool]:
    """Which statements its step keeps. Words are split by NLTK's Treebank rules.

    `word_tokenize` is these rules after a sentence splitter, whose tables are a download; without it, it is faster.
    """
    from distilabel.steps import MinHashDedup
    from nltk.tokenize import TreebankWordTokenizer

    step = MinHashDedup(threshold=threshold, tokenizer="ngrams")
    step.load()
    split = TreebankWordTokenizer().tokenize
    step._tokenizer = lambda batch: [{word.encode() for word in split(text)} for text in batch]
    keep = []
    for start in range(0, len(texts), STEP):
        rows = [{"text": text} for text in texts[start : start + STEP]]
        for done in step.process(rows):
            keep += [row["keep_row_after_minhash_filtering"] for row in done]
    return keep


def semhash(texts: list[str], threshold: float, vectors: str) -> list[bool]:
    """Which statements it keeps, given their vectors."""
    import numpy as np
    from semhash import SemHash

    class NoModel:
        def encode(self, *_: object) -> object:
            raise AssertionError("the vectors are given")

    embeddings = np.load(vectors)
    records = [{"text": text, "place": str(place)} for place, text in enumerate(texts)]
    index = SemHash.from_embeddings(embeddings, records, NoModel(), columns=["text"])
    kept = {int(record["place"]) for record in index.self_deduplicate(threshold=threshold).selected}
    return [place in kept for place in range(len(texts))]


def main() -> None:
    """Run one of them and print seconds, processor seconds, peak memory and the places that were dropped."""
    name, file, threshold, *more = sys.argv[1:]
    texts = Path(file).read_text().split("\n")
    run: dict[str, Callable[..., list[bool]]] = {"distilabel": distilabel, "semhash": semhash}
    run[name](texts[:STEP] if name == "distilabel" else texts[:1], float(threshold), *more) if not more else None
    wall, cpu = time.perf_counter(), time.process_time()
    keep = run[name](texts, float(threshold), *more)
    figures = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(figures | {"dropped": [place for place, kept in enumerate(keep) if not kept]}))


if __name__ == "__main__":
    main()
