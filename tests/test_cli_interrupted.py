"""The command line killed, interrupted, and at a real (pseudo) terminal."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

DISCOVER = ["discover", "a person who is fond of trains", "--model", "fake/writer", "--judge", "fake/judge"]
DISCOVER += ["--models", "fake/1b", "-n", "4", "--json"]

posix = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
terminal = pytest.mark.skipif(shutil.which("setsid") is None, reason="needs setsid of util-linux")


def discover(folder: Path, calls: Path, dies_after: int | None = None) -> subprocess.CompletedProcess[bytes]:
    """A whole run; it kills itself once that many batches of calls are stored."""
    script = (
        "import os, signal, sys\n"
        "from pipeline import calls, cli\n"
        "put, done = calls.CallStore.put, []\n"
        "def dying(*arguments):\n"
        "    put(*arguments)\n"
        "    done.append(1)\n"
        f"    if len(done) == {dies_after}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "calls.CallStore.put = dying\n"
        f"sys.argv = ['mwe', *{DISCOVER}]\n"
        "cli.main()"
    )
    folder.mkdir(exist_ok=True)
    variables = {**os.environ, "MWE_CACHE_DIR": str(calls), "MWE_EMBEDDER": "none"}
    return subprocess.run([sys.executable, "-c", script], cwd=folder, env=variables, capture_output=True, check=False)


def generated(done: subprocess.CompletedProcess[bytes]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["generate"]


@posix
@pytest.mark.parametrize("batches", [1, 4, 5])
def test_a_killed_run_is_finished_by_the_same_command_without_asking_again_and_with_the_same_bytes(
    tmp_path: Path, batches: int
) -> None:
    whole = generated(discover(tmp_path / "whole", tmp_path / "other-calls"))
    killed = discover(tmp_path / "killed", tmp_path / "calls", batches)
    assert killed.returncode == -signal.SIGKILL
    store = sqlite3.connect(tmp_path / "calls" / "calls.sqlite")
    stored = store.execute("SELECT count(*) FROM calls").fetchone()[0]
    store.close()
    again = generated(discover(tmp_path / "killed", tmp_path / "calls"))
    assert stored > 0
    # The answers of the evaluated model are in the store, too, but not in these counts.
    assert again["calls"]["made"] == max(0, whole["calls"]["made"] - stored)
    for name in ("items.jsonl", "rejected.jsonl", "report.json", "scaling.svg"):
        one, other = tmp_path / "whole" / whole["path"] / name, tmp_path / "killed" / again["path"] / name
        assert one.read_bytes() == other.read_bytes()


def in_terminal(arguments: list[str], pressed: str, folder: Path, columns: int = 80) -> tuple[str, int]:
    """The screen and the exit code of `mwe` in a pseudo-terminal; keys are pressed once it lists them."""
    import fcntl
    import pty
    import struct
    import termios

    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    variables = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "LINES"}}
    running = subprocess.Popen(
        # Ctrl-C reaches the program only where the terminal is its own.
        ["setsid", "--ctty", sys.executable, "-m", "pipeline.cli", *arguments],
        cwd=folder,
        env={**variables, "TERM": "xterm-256color"},
        stdin=far,
        stdout=far,
        stderr=far,
    )
    os.close(far)
    screen = b""
    with suppress(OSError):  # how Linux says that the other end is closed
        while read := os.read(near, 65536):
            screen += read
            if pressed and b"[q]uit" in screen:
                os.write(near, pressed.encode())
                pressed = ""
    os.close(near)
    return screen.decode(), running.wait()


@pytest.fixture
def trains(tmp_path: Path) -> Path:
    """A file with one long statement and a family of three in one character."""
    path = tmp_path / "my trains.jsonl"
    row = {
        "question": "I like trains 👩\u200d👩\u200d👧 " + "very " * 30 + "much",
        "answer_matching_behavior": " Yes",
        "answer_not_matching_behavior": " No",
    }
    path.write_text(json.dumps(row) + "\n")
    return path


@terminal
def test_in_a_terminal_a_spot_check_takes_single_keys_and_fits_its_width(trains: Path) -> None:
    screen, code = in_terminal(["check", trains.name, "--rater", "ada", "--quiet"], "nab\x7fc\rr", trains.parent, 60)
    assert code == 0
    assert "👩\u200d👩\u200d👧" in screen
    assert "Note: ab\b \bc\r\n" in screen
    assert max(len(line) for line in screen.partition("Note")[0].splitlines()) == 60
    (label,) = (trains.parent / "my trains.results" / "labels.jsonl").read_text().splitlines()
    assert (json.loads(label)["label"], json.loads(label)["note"]) == ("right", "ac")


@terminal
def test_ctrl_c_ends_with_130_and_the_command_that_goes_on(trains: Path) -> None:
    screen, code = in_terminal(["check", trains.name], "\x03", trains.parent)
    assert code == 130
    assert screen.rstrip().endswith("the same command goes on from there: mwe check 'my trains.jsonl'")
    assert "Traceback" not in screen
