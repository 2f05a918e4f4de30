"""Whole runs against a server, killed and interrupted: nothing stored is asked again, and the bytes are the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.models._session import MOST_IN_HAND_PER_PLACE

from .interrupted_run import Command, served

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")

MOST_LOST = MOST_IN_HAND_PER_PLACE * 100
"""Requests that may be on their way, or answered and not yet stored, at any moment."""


def test_a_run_that_is_killed_and_interrupted_again_and_again_pays_for_nothing_twice(tmp_path: Path) -> None:
    draw = random.Random(3)
    with served("--delay", "0.02") as server:
        whole = Command(server, tmp_path / "whole", n=8)
        whole.finish()
        calls = server.count()
        command = Command(server, tmp_path / "stopped", n=8)
        for kill in range(3):
            before, stored = server.asked(), command.stored()
            target = draw.randint(1, calls // 4)
            running = command.until(lambda asked, target=target: asked >= target)
            running.kill()
            _, said = running.communicate()
            assert running.returncode == -signal.SIGKILL, f"kill {kill} came too late: {said}"
            asked = server.asked()[len(before) :]
            assert not stored & set(asked)
            assert len(asked) - len(command.stored() - stored) <= MOST_LOST

        for presses, answered in ((1, True), (2, False)):
            before, stored = server.asked(), command.stored()
            running = command.until(lambda asked: asked >= 10)
            for _ in range(presses):
                running.send_signal(signal.SIGINT)
            _, said = running.communicate(timeout=30)
            assert running.returncode == 130
            assert said.rstrip().endswith(f"goes on from there: mwe {' '.join(quoted(command.arguments))}")
            assert "Traceback" not in said
            asked = server.asked()[len(before) :]
            assert not stored & set(asked)
            if answered:
                assert "finishing what is in flight" in said
                assert set(asked) <= command.stored(), "what was in flight is stored"

        before, stored = server.asked(), command.stored()
        command.finish()
        asked = server.asked()[len(before) :]
        assert len(asked) == len(set(asked)) and not stored & set(asked)
        assert command.items() == whole.items()


def quoted(arguments: list[str]) -> list[str]:
    return [f"'{each}'" if " " in each else each for each in arguments]


EARLY = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {moment!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.argv = ["mwe", "behaviours", "show", "machiavellianism"]
from pipeline.__main__ import main
main()
"""


@pytest.mark.parametrize("moment", ["pipeline.cli", "typer", "pydantic", "pipeline.prompts"])
def test_ctrl_c_while_the_program_still_loads_is_one_line_and_no_traceback(moment: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", EARLY.format(moment=moment)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 130
    (line,) = done.stderr.splitlines()
    assert line.endswith("mwe behaviours show machiavellianism")
