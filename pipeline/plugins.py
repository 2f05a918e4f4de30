"""Finds plug-ins by file name: the folder is the registry.

`load("filters", "preference")` is the module `filters/preference.py`.
A name on the command line may hold dashes where the file has underscores.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from types import ModuleType

from pipeline.errors import UsageError

PACKAGES = {
    "filters": "filters",
    "preferences": "filters.preferences",
    "models": "pipeline.models",
    "formats": "pipeline.formats",
    "probes": "pipeline.probes",
}


def names(kind: str) -> list[str]:
    """Names of all plug-ins of a kind (a key of PACKAGES), sorted, as on the command line."""
    package = importlib.import_module(PACKAGES[kind])
    found = (module.name for module in pkgutil.iter_modules(package.__path__) if not module.ispkg)
    return sorted(name.replace("_", "-") if kind == "models" else name for name in found if not name.startswith("_"))


def load(kind: str, name: str) -> ModuleType:
    """The module of a plug-in. Raises UsageError, with the names there are, where there is none of that name."""
    module = name.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", module) or name not in {*names(kind), module} or name.startswith("_"):
        raise UsageError(f"there is no {kind.rstrip('s')} named {name!r}; there are: {', '.join(names(kind))}")
    try:
        return importlib.import_module(f"{PACKAGES[kind]}.{module}")
    except ModuleNotFoundError as error:
        if error.name == f"{PACKAGES[kind]}.{module}":
            raise UsageError(
                f"there is no {kind.rstrip('s')} named {name!r}; there are: {', '.join(names(kind))}"
            ) from None
        raise
