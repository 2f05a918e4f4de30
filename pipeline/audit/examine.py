"""The audit: every cue of a dataset with its interval, and what stops it.

Nothing here asks a model; `polarity.py` does, and its findings are added.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.audit import crossed
from pipeline.audit.answers import find_acquiescence, find_ceiling, find_constants, find_order
from pipeline.audit.findings import FEWEST, Audit, Finding
from pipeline.audit.gate import find_cues
from pipeline.audit.giveaways import find_giveaways
from pipeline.audit.repeats import find_moulds, find_repeats
from pipeline.audit.sides import take_apart
from pipeline.audit.topics import find_words
from pipeline.schema import Behaviour, Item
from pipeline.statistics.similarity import clusters as near_duplicates

_LONGEST = 20_000
"""Characters of an item by which it is compared with others."""


def examine(items: Sequence[Item], behaviour: Behaviour | None = None, extra: Sequence[Finding] = ()) -> Audit:
    """Audit a dataset; `behaviour` is needed for quotations of the description, `extra` are findings made elsewhere.

    Below `FEWEST` items every figure is given and none stops the dataset.
    """
    if not items:
        return Audit(passed=True, findings=[])
    enough = len(items) >= FEWEST
    sides = take_apart(items)
    clusters = near_duplicates([f"{each.stem} {each.first} {each.second}"[:_LONGEST] for each in sides])
    plain = crossed.task(sides, clusters)
    findings = [
        *find_cues(sides, clusters, plain, enough),
        *find_constants(sides, clusters, enough),
        *find_acquiescence(sides, clusters, enough),
        *find_repeats(items, sides, clusters, enough),
        *find_moulds(sides, enough),
        *find_giveaways(items, sides, behaviour, plain, enough),
        *find_order(items, sides, enough),
        *find_ceiling(items, clusters, enough),
        *find_words(sides, plain, enough),
        *extra,
    ]
    return Audit(passed=not any(finding.gate for finding in findings), findings=findings)
