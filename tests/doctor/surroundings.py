"""A machine of its own for each test: empty folders, no keys, no servers, no hub and no package index."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.doctor.finding import Finding
from pipeline.models import _hub

NOWHERE = "http://127.0.0.1:9"
"""Nobody listens there."""


def isolate(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Work in `folder` as somebody who has set nothing."""
    for name in os.environ:
        if re.search(r"_(BASE_URL|API_KEY|TOKEN|INDEX_URL|LINKS)$|^(MWE|OPENAI|ANTHROPIC|HF)_", name):
            monkeypatch.delenv(name)
    own = {
        "XDG_CONFIG_HOME": folder / "config",
        "XDG_CACHE_HOME": folder / "cache",
        "HF_HOME": folder / "hub",
        "MWE_CACHE_DIR": folder / "calls",
        "MWE_MODELS_DIR": folder / "models",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": f"{NOWHERE}/simple",
        "HF_ENDPOINT": NOWHERE,
    }
    for name, value in own.items():
        monkeypatch.setenv(name, str(value))
    _hub._probe.cache_clear()
    here = folder / "here"
    here.mkdir()
    monkeypatch.chdir(here)


def of(findings: Sequence[Finding], subject: str) -> Finding:
    """The only finding on a subject."""
    (found,) = [finding for finding in findings if finding.subject == subject]
    return found
