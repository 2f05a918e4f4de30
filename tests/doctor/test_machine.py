"""Room: folders, call store, disk and memory, each with enough and with too little."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.calls import CallStore
from pipeline.doctor import machine
from pipeline.doctor.finding import Finding, looked
from pipeline.models._memory import Memory
from pipeline.settings import Settings

from .surroundings import isolate, of

GB = 10**9
BIG = "local/Qwen2.5-Coder-1.5B-Instruct"
SMALL = "local/all-MiniLM-L6-v2"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    isolate(monkeypatch, tmp_path)
    monkeypatch.setattr(machine, "has_local_extra", lambda: True)
    return tmp_path


def free(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=count))


def test_folders_that_can_be_written_are_in_order_and_nothing_is_made(here: Path) -> None:
    assert [found.state for found in machine.folders(Settings())] == ["ok", "ok"]
    assert sorted(path.name for path in here.iterdir()) == ["here"]
    assert list((here / "here").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is where nobody can write, not even root")
def test_folders_that_cannot_be_written_are_broken(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    (here / "file").write_text("")
    monkeypatch.setenv("MWE_MODELS_DIR", "/proc/models")
    found = list(machine.folders(Settings(generated=str(here / "file" / "generated"))))
    assert [each.state for each in found] == ["broken", "broken"]
    assert "MWE_MODELS_DIR" in str(of(found, "weights").advice)
    monkeypatch.setattr(machine, "has_local_extra", lambda: False)
    assert [each.subject for each in machine.folders(Settings())] == ["datasets"]


def test_a_call_store_that_is_not_there_yet_is_not_made(here: Path) -> None:
    (found,) = machine.call_store()
    assert found.state == "ok" and "will be made" in found.detail
    assert not (here / "calls").exists()


def test_a_call_store_that_opens_is_in_order_and_left_as_it_is(here: Path) -> None:
    store = CallStore(here / "calls")
    store.put("fake/x", {})
    store.close()
    before = store.path.read_bytes()
    (found,) = machine.call_store()
    assert found.state == "ok"
    assert store.path.read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is where nobody can write, not even root")
def test_a_call_store_in_a_folder_that_cannot_be_written_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MWE_CACHE_DIR", "/proc/calls")
    (found,) = machine.call_store()
    assert found.state == "broken" and "MWE_CACHE_DIR" in str(found.advice)


def test_a_call_store_that_is_no_database_is_set_aside_and_said(here: Path) -> None:
    (here / "calls").mkdir()
    (here / "calls/calls.sqlite").write_bytes(b"garbage " * 1000)
    (found,) = looked("call store", machine.call_store, "advice")
    assert found.state == "warn" and "damaged" in found.detail
    (again,) = looked("call store", machine.call_store, "advice")
    assert again.state == "ok"


def test_disk_is_enough_broken_for_weights_and_short_for_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 100 * GB)
    assert [found.state for found in machine.disk([BIG, SMALL])] == ["ok", "ok"]
    free(monkeypatch, 1 * GB)
    found = list(machine.disk([BIG, SMALL]))
    assert [each.state for each in found] == ["ok", "broken"]
    assert "1.0 GB free" in found[1].detail and "MWE_MODELS_DIR" in str(found[1].advice)
    free(monkeypatch, 10_000_000)
    assert [found.state for found in machine.disk(["fake/x"])] == ["warn"]


def test_room_is_needed_for_all_missing_models_with_one_at_its_worst_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = machine.rows_of([BIG, SMALL, BIG.lower(), "local/absent", "hf/a/b"])
    assert len(rows) == 2
    needed = sum(row.installed_bytes for row in rows) + max(row.disk_bytes - row.installed_bytes for row in rows)
    free(monkeypatch, needed)
    assert [found.state for found in machine.disk([BIG, SMALL])] == ["ok", "ok"]
    free(monkeypatch, needed - 1)
    assert [found.state for found in machine.disk([BIG, SMALL])] == ["ok", "broken"]


def memory(monkeypatch: pytest.MonkeyPatch, available: int, dtype: str = "bfloat16", device: str = "cpu") -> Finding:
    monkeypatch.setattr(machine, "choose_device", lambda: device)
    monkeypatch.setattr(machine, "choose_dtype", lambda device: dtype)
    (found,) = machine.memory([BIG, SMALL], Memory(32 * GB, available, None))
    return found


def test_memory_is_enough_or_tight_or_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory(monkeypatch, 16 * GB).state == "ok"
    assert memory(monkeypatch, 5 * GB).state == "warn"
    found = memory(monkeypatch, 2 * GB)
    assert found.state == "broken" and "2.0 GB free" in found.detail and "MWE_MODEL" in str(found.advice)


def test_wider_numbers_need_twice_the_memory_and_a_graphics_card_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory(monkeypatch, 10 * GB, "float32").state == "warn"
    assert memory(monkeypatch, 1 * GB, device="cuda").state == "ok"


def test_models_behind_an_api_need_no_memory_and_a_system_that_says_nothing_is_in_order() -> None:
    (found,) = machine.memory(["openai/x"], Memory(2 * GB, 1 * GB, None))
    assert found.state == "ok"
    (found,) = machine.memory([BIG], Memory(None, None, None))
    assert found.state == "ok"


def test_the_limit_of_a_container_is_said() -> None:
    (found,) = machine.memory(["openai/x"], Memory(64 * GB, 3 * GB, 4 * GB))
    assert "this container may have 4.0 GB; 3.0 GB free" in found.detail
