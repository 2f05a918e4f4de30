"""The live table shows what is done and what is being done, whatever the size of terminal and sweep."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from pipeline.board import Board


def text(board: Board, width: int = 80, height: int = 24) -> str:
    page = StringIO()
    Console(file=page, width=width, height=height, color_system=None).print(board)
    return page.getvalue()


def test_a_cell_goes_from_progress_to_a_score_or_a_failure() -> None:
    board = Board(["a", "b"], ["fake/1b", "fake/2b"])
    board.begin("a", "fake/1b")
    board.progress(1, 3)
    assert "33 %" in text(board) and "0 of 4" in text(board)
    board.score("a", "fake/1b", 0.625)
    board.fail("", "fake/2b")
    shown = text(board)
    assert "62.5" in shown and "33 %" not in shown and shown.count("failed") == 2 and "3 of 4" in shown


def test_a_failed_model_keeps_the_scores_that_it_has() -> None:
    board = Board(["a", "b"], ["fake/1b"])
    board.score("a", "fake/1b", 0.5)
    board.fail("", "fake/1b")
    assert "50.0" in text(board) and text(board).count("failed") == 1


def test_of_a_sweep_larger_than_the_terminal_the_part_in_work_is_shown() -> None:
    board = Board([f"dataset-{i:03}" for i in range(150)], [f"hf/x/model-{i:02}" for i in range(20)])
    board.begin("dataset-120", "hf/x/model-13")
    board.progress(2, 4)
    shown = text(board, 70, 24)
    assert "dataset-120" in shown and "50 %" in shown and "dataset-000" not in shown
    assert len(shown.splitlines()) <= 23 and max(map(len, shown.splitlines())) <= 70


def test_a_name_cannot_steer_the_terminal() -> None:
    board = Board(["\x1b[31mred [bold]x[/bold]"], ["fake/\x1b[0m1b"])
    board.score(board.titles[0], board.models[0], 1.0)
    assert "\x1b" not in text(board) and "[bold]x[/bold]" in text(board)
