"""Keys from a real (pseudo) terminal."""

from __future__ import annotations

import io
import os
import sys

import pytest

from pipeline.review.keyboard import keys

pty = pytest.importorskip("pty")


def press(monkeypatch, pressed: bytes, count: int) -> list[str]:
    near, far = pty.openpty()
    with os.fdopen(far, "r") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        with keys() as read_key:
            os.write(near, pressed)
            found = [read_key() for _ in range(count)]
    os.close(near)
    return found


def test_keys_come_one_by_one_without_a_line_end_and_in_any_script(monkeypatch):
    assert press(monkeypatch, "ré我🙂".encode(), 4) == ["r", "é", "我", "🙂"]


def test_control_d_is_the_end_of_the_input(monkeypatch):
    assert press(monkeypatch, b"r\x04", 2) == ["r", ""]


def test_an_arrow_key_is_no_letter(monkeypatch):
    assert press(monkeypatch, b"\x1b[B\x1b[1;5Ar\x1bOPw", 2) == ["r", "w"]


def test_without_a_terminal_the_characters_of_the_input_are_the_keys(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("rw"))
    with keys() as read_key:
        assert [read_key(), read_key(), read_key()] == ["r", "w", ""]
