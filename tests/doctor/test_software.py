"""Python, packages, the extra, the device and the terminal, each as it should be and as it should not."""

from __future__ import annotations

import io
import shutil
from importlib import metadata

import pytest

from pipeline.doctor import software
from pipeline.doctor.finding import Finding

REQUIRES = ["pydantic>=2.7", "rich>=13.7", "torch>=2.6; extra == 'local'", "ruff ; extra == 'dev'"]
Versions = dict[str, str]


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> Versions:
    """The packages that are installed, to be changed by a test."""
    found = {"mwe": "0.1.0", "pydantic": "2.14.3", "rich": "13.7", "torch": "2.13.0+cpu"}

    def version(name: str) -> str:
        if name not in found:
            raise metadata.PackageNotFoundError(name)
        return found[name]

    def requires(name: str) -> list[str]:
        version(name)
        return REQUIRES

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(metadata, "requires", requires)
    monkeypatch.setattr(software, "has_local_extra", lambda: "torch" in found)
    return found


def only(findings: object) -> Finding:
    (found,) = findings  # type: ignore[misc]
    assert isinstance(found, Finding)
    return found


def test_the_python_that_runs_this_is_in_order() -> None:
    assert only(software.python()).state == "ok"


def test_an_older_python_is_broken_and_another_implementation_is_only_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(software, "_required_python", lambda: "3.99")
    assert only(software.python()).state == "broken"
    assert "3.99" in str(only(software.python()).advice)
    monkeypatch.setattr(software, "_required_python", lambda: "3.9")
    monkeypatch.setattr(software.sys.implementation, "name", "pypy")
    assert only(software.python()).state == "warn"


def test_packages_that_fit_are_listed_with_their_versions(versions: Versions) -> None:
    found = only(software.core())
    assert (found.state, found.detail) == ("ok", "mwe 0.1.0: pydantic 2.14.3, rich 13.7")


@pytest.mark.parametrize(
    ("package", "version", "says"),
    [("rich", None, "rich is not installed"), ("pydantic", "2.6.10", "pydantic 2.6.10 is older than 2.7")],
)
def test_a_package_that_is_missing_or_too_old_is_broken_and_named(
    versions: Versions, package: str, version: str | None, says: str
) -> None:
    del versions[package]
    versions |= {package: version} if version else {}
    found = only(software.core())
    assert (found.state, found.detail) == ("broken", says)


def test_a_source_folder_that_was_never_installed_is_looked_at(versions: Versions) -> None:
    del versions["mwe"]
    assert only(software.core()).state == "warn"
    assert only(software.local(True)).state == "ok"


def test_without_the_extra_only_defaults_that_need_it_are_broken(versions: Versions) -> None:
    assert only(software.local(True)).state == "ok"
    del versions["torch"]
    found = only(software.local(True))
    assert (found.state, found.detail) == ("broken", "torch is not installed")
    assert "pip install 'mwe[local]'" in str(found.advice) and "MWE_JUDGE" in str(found.advice)
    assert only(software.local(False)).state == "ok"
    assert list(software.device()) == []


def test_a_graphics_card_that_torch_cannot_use_is_looked_at(
    versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(software, "choose_device", lambda: "cpu")
    assert only(software.device()).state == "warn"
    monkeypatch.setenv("MWE_DEVICE", "cpu")
    assert only(software.device()).state == "ok"


@pytest.mark.parametrize(("encoding", "state"), [("utf-8", "ok"), ("ascii", "warn"), ("cp1252", "warn")])
def test_a_terminal_that_cannot_show_every_text_is_looked_at(encoding: str, state: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    found = only(software.terminal(stream))
    assert found.state == state
    assert bool(found.advice) is (state != "ok")


@pytest.mark.parametrize(
    ("newer", "older"), [("2.10", "2.9"), ("2.13.0+cpu", "2.6"), ("3.11.0rc1", "3.10.9"), ("2.0.1", "2.0")]
)
def test_versions_are_compared_by_number(newer: str, older: str) -> None:
    assert software._numbers(newer) > software._numbers(older)
