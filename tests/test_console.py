"""What a person sees cannot be steered by what a model says, and goes to stderr alone."""

from __future__ import annotations

import pytest

from pipeline import console
from pipeline.board import Board


def test_control_characters_never_reach_the_terminal() -> None:
    shown = console.visible("red \x1b[31m, bell \x07, back \x08, delete \x7f, next\nline, é, 漢")
    assert not any(ord(c) < 32 and c != "\n" for c in shown)
    assert "\x7f" not in shown
    assert "é, 漢" in shown


def test_plain_progress_says_the_end_of_every_task_and_nothing_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress(quiet=False) as progress:
        for done in range(5):
            progress.update("writing", done, 4)
        progress.update("download x", 2_000_000, 2_000_000)
        progress.note("a note")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["writing: 4 of 4", "download x: 2 MB of 2 MB", "a note"]


def test_quiet_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress(quiet=True) as progress:
        progress.update("writing", 1, 1)
        progress.note("a note")
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_the_ends_of_a_sweeps_tasks_are_no_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress(quiet=False) as progress:
        assert not console.show_above(progress, Board(["a"], ["fake/1b"]))
        progress.update("asking", 4, 4)
        progress.note("a: 50 %")
        console.keep_in_view(progress, "a table")
    assert capsys.readouterr() == ("", "a: 50 %\n")
