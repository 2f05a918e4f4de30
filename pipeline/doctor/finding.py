"""One thing that `mwe doctor` looked at, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from pipeline.errors import PipelineError
from pipeline.schema import Record

State = Literal["ok", "warn", "broken"]


class Finding(Record):
    """What was found. Never holds a character of a key."""

    subject: str
    state: State
    """`broken`: the defaults in force cannot do their work. `warn`: something else cannot, or not well."""
    detail: str
    advice: str | None = None
    """What to do; there for every state but `ok`."""


def looked(subject: str, look: Callable[[], Iterable[Finding]], advice: str) -> Iterator[Finding]:
    """What `look` finds; where it fails for a reason that a user can mend, that is the finding."""
    try:
        yield from look()
    except (PipelineError, OSError) as error:
        yield Finding(subject=subject, state="broken", detail=str(error), advice=advice)
    except RuntimeError as error:
        # How pathlib says that HOME is unset, or that nobody has the name after a "~".
        if "home directory" not in str(error):
            raise
        detail = "the home directory is not known"
        yield Finding(subject=subject, state="broken", detail=detail, advice="Set HOME, or give the path in full.")


def size(count: float) -> str:
    """Bytes for a reader, in powers of 1,000 as in the catalogue: "93 MB", "3.1 GB"."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
