"""What a user can cause or mend, as exceptions; anything else is a bug and keeps its traceback.

PipelineError                 exit 1   something failed
├── UsageError                exit 2   the command, a name, a file or a setting is wrong
│   └── MissingExtra          exit 2   an optional dependency is not installed
├── GateClosed                exit 3   stopped by a gate; what was made so far is kept
└── ModelError                exit 1   a model or its server failed
    ├── ModelUnavailable      exit 1   the model cannot be had: unknown, no network, no key, no disk
    └── Unsupported           exit 2   the model cannot do what was asked of it
        └── TooLong           exit 2   a prompt does not fit into the model's context

A message is one or two sentences: what was found, what was expected, what to do next.
"""

from __future__ import annotations


class PipelineError(Exception):
    """Base of every error that is shown to the user without a traceback."""

    exit_code = 1


class UsageError(PipelineError):
    """The command line, a name, an input file or a setting is wrong."""

    exit_code = 2


class MissingExtra(UsageError):
    """An optional dependency is needed and absent."""

    def __init__(self, needed_for: str, extra: str, instead: str = "") -> None:
        super().__init__(
            f"{needed_for} needs the extra [{extra}], which is not installed; install it with: "
            f"pip install 'mwe[{extra}]'{instead}"
        )


class GateClosed(PipelineError):
    """A gate stopped the work (too few items passed, budget reached); what is there is kept."""

    exit_code = 3


class ModelError(PipelineError):
    """A model or the server behind it failed."""


class ModelUnavailable(ModelError):
    """A model cannot be had: its name is unknown, or network, key, memory or disk are missing."""


class Unsupported(ModelError):
    """The model works but cannot do what was asked, such as embeddings from a chat API."""

    exit_code = 2


class TooLong(Unsupported):
    """A prompt has more tokens than the model reads at once."""
