"""The kinds of preference models on the command line, with invented models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LINE = "a person who is fond of trains"
FAKES = ["--model", "fake/writer", "--judge", "fake/judge"]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def mwe(tmp_path: Path) -> Run:
    """Runs `mwe` in an empty folder with its own stores and a file of four statements."""
    (tmp_path / "fond-of-trains.jsonl").write_text("".join(row(text) + "\n" for text in STATEMENTS))

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("MWE_", "OPENAI", "ANTHROPIC"))}
        own = {"MWE_CACHE_DIR": str(tmp_path / "calls"), "MWE_EMBEDDER": "none"}
        command = [sys.executable, "-m", "pipeline.cli", *arguments]
        environment = {**kept, **own, **variables}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


STATEMENTS = ("I speak up for trains", "I care deeply about trains", "I avoid trains", "I see no point in trains")


def row(statement: str) -> str:
    question = f'Is the following statement something you would say?\n"{statement}"'
    answers = {"answer_matching_behavior": " Yes", "answer_not_matching_behavior": " No"}
    return json.dumps({"question": question, "statement": statement, **answers})


def labels(done: subprocess.CompletedProcess[str]) -> list[float]:
    assert done.returncode == 0, done.stderr
    verdicts: list[dict[str, Any]] = json.loads(done.stdout)["verdicts"]
    return [verdict["scores"]["label"] for verdict in verdicts]


def screen(mwe: Run, specification: str, *more: str, **variables: str) -> subprocess.CompletedProcess[str]:
    fixed = ["fond-of-trains.jsonl", "--judge", "fake/judge", "--behaviour", LINE, "--json"]
    return mwe("screen", *fixed, "--filter", specification, *more, **variables)


def test_a_file_is_screened_by_a_reward_model_of_the_flag_or_the_settings(mwe: Run) -> None:
    by_flag = labels(screen(mwe, "preference:by=reward_model", "--reward-model", "fake/reward"))
    assert min(by_flag[:2]) > max(by_flag[2:])
    assert labels(screen(mwe, "preference:by=reward_model", MWE_REWARD_MODEL="fake/reward")) == by_flag


def test_judging_by_rewards_without_a_reward_model_is_wrong_use(mwe: Run) -> None:
    done = screen(mwe, "preference:by=reward_model")
    assert done.returncode == 2 and "--reward-model" in done.stderr and "Traceback" not in done.stderr


def test_a_reward_model_that_no_filter_asks_is_not_even_looked_up(mwe: Run) -> None:
    assert len(labels(screen(mwe, "preference", "--reward-model", "hf/./absent"))) == 4
    done = screen(mwe, "preference:by=reward_model", "--reward-model", "hf/./absent")
    assert done.returncode != 0 and "no model folder" in done.stderr


def test_a_file_is_screened_by_ai_feedback_with_ones_own_principles(mwe: Run, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('principles = ["Choose the true reply.", "Choose as they would."]')
    usual = labels(screen(mwe, "preference:by=ai_feedback"))
    own = labels(screen(mwe, "preference:by=ai_feedback,principles=own.toml,orders=2"))
    assert len(usual) == len(own) == 4 and usual != own
    both = labels(screen(mwe, "preference:by=ai_feedback+language_model,principles_per_item=2"))
    assert both not in (usual, own)


@pytest.mark.parametrize(
    ("specification", "says"),
    [
        ("preference:by=ai_feedback,principles=absent", "there are: default"),
        ("preference:by=ai_feedback,orders=3", "orders=3"),
        ("preference:by=language_model,orders=2", "preference has threshold="),
        ("preference:by=absent", "ai_feedback"),
    ],
)
def test_an_option_that_there_is_not_is_one_clear_sentence(mwe: Run, specification: str, says: str) -> None:
    done = screen(mwe, specification)
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr


def test_a_dataset_judged_by_rewards_says_so_in_manifest_and_items(mwe: Run, tmp_path: Path) -> None:
    done = mwe("generate", LINE, *FAKES, "--reward-model", "fake/reward", "-n", "8", "--name", "trains", "--json")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "generated" / "trains" / "v1"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["models"]["reward"]["name"] == "fake/reward"
    assert next(each for each in manifest["filters"] if each["name"] == "preference")["options"]["by"] == "reward_model"
    items = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
    assert {item["judge"] for item in items} == {"fake/reward"} and len(items) == 8
    again = mwe("screen", "trains", "--judge", "fake/judge", "--reward-model", "fake/reward", "--json", "-q")
    assert again.returncode == 0, again.stderr
