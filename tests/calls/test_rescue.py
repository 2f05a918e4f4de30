"""A damaged file: found, said, kept beside, and everything in it that is whole goes on being used."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.calls import CallStore
from pipeline.calls.database import Damaged, Selection
from pipeline.calls.upkeep import prune
from pipeline.errors import PipelineError

from .made_up import calls, filled, key, same
from .test_store import write_old_file

N = 300
PAGE = 4096
MOST_ON_A_PAGE = 50
ROOT = str(Path(__file__).parents[2])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store with N calls; its last ones stand in the write-ahead log alone."""
    folder, copy = tmp_path_factory.mktemp("written"), tmp_path_factory.mktemp("whole")
    filled(folder, N - 60)
    store = CallStore(folder)
    for start in range(N - 60, N, 20):
        store.put("fake/x", calls(20, start))
    # As a killed process leaves them.
    for name in ("calls.sqlite", "calls.sqlite-wal"):
        shutil.copy(folder / name, copy / name)
    store.close()
    return copy


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store with N calls, all in the one file."""
    return filled(tmp_path_factory.mktemp("closed"), N).path.parent


def damaged(source: Path, target: Path, damage: Callable[[Path], object]) -> Path:
    """A copy of a store with something done to its file."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    damage(target / "calls.sqlite")
    return target


def what_is_left(folder: Path) -> tuple[int, list[str]]:
    """How many calls a store still gives, every one of them as it was put, and what it says of itself."""
    notes: list[str] = []
    store, expected = CallStore(folder, notes.append), calls(N)
    found = store.get(list(expected))
    assert all(same(reply, expected[each][1]) for each, reply in found.items())
    store.put("fake/x", expected)
    assert len(CallStore(folder, notes.append).get(list(expected))) == N
    return len(found), notes


def said(notes: list[str], kept: int, folder: Path) -> bool:
    """Whether the loss was told once, with what is kept, and the damaged file is where it says."""
    (aside,) = folder.glob("calls.damaged-*.sqlite")
    return len(notes) == 1 and f" {kept:,} calls" in notes[0] and aside.name in notes[0]


def cut(size: int) -> Callable[[Path], object]:
    return lambda path: os.truncate(path, size)


def overwrite(start: int, content: bytes) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(start)
            file.write(content)

    return write


def test_a_file_cut_short_anywhere_keeps_all_calls_before_the_cut(closed: Path, tmp_path: Path) -> None:
    size, draw = (closed / "calls.sqlite").stat().st_size, random.Random(0)
    for length in [0, 1, 99, 100, 600, PAGE, *(draw.randrange(size) for _ in range(12)), size - PAGE, size - 1]:
        folder = damaged(closed, tmp_path / "x", cut(length))
        lost_pages = -(-(size - length) // PAGE)
        kept, notes = what_is_left(folder)
        assert said(notes, kept, folder), length
        assert N - kept <= MOST_ON_A_PAGE * lost_pages
        assert kept > 0 or length < 5 * PAGE
        assert next(folder.glob("calls.damaged-*.sqlite")).stat().st_size == length


@pytest.mark.parametrize("content", [bytes(PAGE), random.Random(3).randbytes(PAGE)], ids=["zeros", "noise"])
def test_a_page_that_is_overwritten_costs_the_calls_on_it_at_most(closed: Path, tmp_path: Path, content: bytes) -> None:
    for start in range(0, (closed / "calls.sqlite").stat().st_size, 3 * PAGE):
        folder = damaged(closed, tmp_path / "x", overwrite(start, content))
        kept, notes = what_is_left(folder)
        assert N - kept <= MOST_ON_A_PAGE
        assert kept == N or said(notes, kept, folder)


def test_without_its_header_a_file_loses_nothing(closed: Path, tmp_path: Path) -> None:
    folder = damaged(closed, tmp_path / "x", overwrite(0, random.Random(4).randbytes(100)))
    kept, notes = what_is_left(folder)
    assert kept == N
    assert said(notes, kept, folder)
    # The dialogs are whole as well.
    assert CallStore(folder).request(key(0)) == CallStore(closed).request(key(0))


def test_a_file_that_is_no_database_at_all_is_kept_beside(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    path.write_bytes(b"not a database, but long enough to be read as one" * 50)
    kept, notes = what_is_left(tmp_path)
    assert kept == 0
    assert said(notes, kept, tmp_path)
    assert next(tmp_path.glob("calls.damaged-*")).read_bytes().startswith(b"not a database")


def test_one_wrong_bit_in_a_reply_is_found_by_its_checksum(closed: Path, tmp_path: Path) -> None:
    content = (closed / "calls.sqlite").read_bytes()
    place = content.index(b'"text":"text 5') + len('"text":"t')
    folder = damaged(closed, tmp_path / "x", overwrite(place, bytes([content[place] ^ 1])))
    kept, notes = what_is_left(folder)
    assert kept == N - 1
    assert said(notes, kept, folder)
    assert "does not match its checksum" in notes[0]


def test_a_call_whose_dialog_is_lost_keeps_its_reply(closed: Path, tmp_path: Path) -> None:
    content = (closed / "calls.sqlite").read_bytes()
    place = content.index(b"Block 0. ")
    folder = damaged(closed, tmp_path / "x", overwrite(place, b"X"))
    assert what_is_left(folder) == (N, [])
    assert None in [CallStore(folder).request(key(i)) for i in (0, 1)]


def test_what_stands_in_the_log_of_a_killed_process_is_used(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "x")
    assert what_is_left(tmp_path / "x") == (N, [])


def test_without_its_log_a_file_still_has_what_was_written_before(whole: Path, tmp_path: Path) -> None:
    folder = damaged(whole, tmp_path / "x", lambda path: path.with_name("calls.sqlite-wal").unlink())
    kept, _ = what_is_left(folder)
    assert kept == N - 60


def test_a_log_alone_is_no_new_store_and_its_calls_are_kept(whole: Path, tmp_path: Path) -> None:
    folder = damaged(whole, tmp_path / "x", lambda path: path.unlink())
    kept, notes = what_is_left(folder)
    assert kept >= 60
    assert len(notes) == 1
    assert list(folder.glob("calls.damaged-*.sqlite-wal"))


def test_a_log_of_earlier_days_takes_nothing_away(whole: Path, closed: Path, tmp_path: Path) -> None:
    def put_log(path: Path) -> None:
        shutil.copy(whole / "calls.sqlite-wal", path.with_name("calls.sqlite-wal"))

    later = tmp_path / "later"
    shutil.copytree(closed, later)
    store = CallStore(later)
    store.put("fake/x", calls(200, N))
    store.close()
    folder, notes = damaged(later, tmp_path / "x", put_log), list[str]()
    expected = calls(N + 200)
    assert len(CallStore(folder, notes.append).get(list(expected))) == N + 200
    assert len(notes) == 1


def test_a_damaged_file_of_the_first_format_is_rescued_too(tmp_path: Path) -> None:
    write_old_file(tmp_path / "old", N)
    size = (tmp_path / "old" / "calls.sqlite").stat().st_size
    folder = damaged(tmp_path / "old", tmp_path / "x", cut(size * 3 // 4))
    kept, notes = what_is_left(folder)
    assert N // 2 < kept < N
    assert said(notes, kept, folder)


def test_damage_beneath_an_open_store_is_found_and_mended_while_work_goes_on(closed: Path, tmp_path: Path) -> None:
    shutil.copytree(closed, tmp_path / "x")
    notes: list[str] = []
    store = CallStore(tmp_path / "x", notes.append)
    assert store.get([key(0)])
    size = store.path.stat().st_size
    os.truncate(store.path, size // 2)
    found = store.get(list(calls(N)))
    assert N // 3 < len(found) < N
    assert said(notes, len(found), tmp_path / "x")
    store.put("fake/x", calls(N))
    assert len(store.get(list(calls(N)))) == N


def test_several_stores_that_find_the_same_damage_mend_it_once(closed: Path, tmp_path: Path) -> None:
    shutil.copytree(closed, tmp_path / "x")
    notes: list[str] = []
    stores = [CallStore(tmp_path / "x", notes.append) for _ in range(3)]
    assert all(store.get([key(0)]) for store in stores)
    os.truncate(stores[0].path, stores[0].path.stat().st_size // 2)
    kept = [len(store.get(list(calls(N)))) for store in stores]
    assert len(set(kept)) == 1
    assert said(notes, kept[0], tmp_path / "x")
    stores[0].put("fake/x", calls(N))
    assert all(len(store.get(list(calls(N)))) == N for store in stores)


READ = """
import sys
from pathlib import Path
from pipeline.calls import CallStore
from tests.calls.made_up import calls
sys.stdin.readline()
store = CallStore(Path(sys.argv[1]), lambda text: print("mended"))
expected = calls(300)
print(len(store.get(list(expected))))
store.put("fake/x", expected)
store.close()
print(len(store.get(list(expected))))
"""


def test_processes_that_find_damage_at_once_do_not_destroy_each_others_work(closed: Path, tmp_path: Path) -> None:
    size = (closed / "calls.sqlite").stat().st_size
    folder = damaged(closed, tmp_path / "x", cut(size // 2))
    children = [
        subprocess.Popen(
            [sys.executable, "-c", READ, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=ROOT, env={**os.environ, "PYTHONPATH": ROOT},
        )
        for _ in range(4)
    ]  # fmt: skip
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    outputs = [child.communicate()[0].split() for child in children]
    assert sum("mended" in output for output in outputs) == 1
    assert {output[-1] for output in outputs} == {str(N)}
    assert len(list(folder.glob("calls.damaged-*.sqlite"))) == 1


def test_a_store_that_was_rewritten_by_another_process_is_found_under_its_name(closed: Path, tmp_path: Path) -> None:
    shutil.copytree(closed, tmp_path / "x")
    one, other = CallStore(tmp_path / "x"), CallStore(tmp_path / "x")
    one.put("fake/x", calls(1, N))
    assert prune(other, Selection(("fake/x",))).kept == 0
    one.put("fake/y", calls(2, N))
    assert other.get(list(calls(N + 2))).keys() == set(calls(2, N))
    one.close()
    assert len(other.get(list(calls(N + 2)))) == 2


def test_a_new_file_that_cannot_be_finished_leaves_the_old_one_in_its_place(
    closed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    shutil.copytree(closed, tmp_path / "x")
    write_old_file(tmp_path / "old", N)
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.calls.rescue.sync", full)
        with pytest.raises(PipelineError, match="the disk is full"):
            prune(CallStore(tmp_path / "x"), Selection(("fake/x",)))
        with pytest.raises(PipelineError, match="the disk is full"):
            CallStore(tmp_path / "old").get([key(0)])
    for name in ("x", "old"):
        assert not list((tmp_path / name).glob(".*"))
        assert what_is_left(tmp_path / name) == (N, [])


PRUNE = """
import sys
from pathlib import Path
from pipeline.calls import CallStore
from pipeline.calls.database import Selection
from pipeline.calls.upkeep import prune
from tests.calls.made_up import calls
store = CallStore(Path(sys.argv[1]))
while True:
    store.put("fake/y", calls(1, 10**6))
    prune(store, Selection(("fake/y",)))
    print("pruned", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_kill_while_the_file_is_replaced_costs_nothing(closed: Path, tmp_path: Path) -> None:
    shutil.copytree(closed, tmp_path / "x")
    for pause in (0.0, 0.003, 0.007, 0.012):
        command = [sys.executable, "-c", PRUNE, str(tmp_path / "x")]
        variables = {**os.environ, "PYTHONPATH": ROOT}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=variables) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(pause)
            child.kill()
        assert what_is_left(tmp_path / "x") == (N, [])


def test_a_disk_that_loses_what_it_is_given_is_not_mended_for_ever(
    closed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget(*_: object) -> None:
        raise Damaged("nothing is what it was")

    shutil.copytree(closed, tmp_path / "x")
    monkeypatch.setattr("pipeline.calls.database.checked", forget)
    with pytest.raises(PipelineError, match="mended 3 times in a row"):
        CallStore(tmp_path / "x").get([key(0)])
