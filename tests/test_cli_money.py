"""Dry run, price and budget as whole commands, with the real SDK against a server that keeps the bill."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .models.loopback import Call, FaultServer, Step, serving

MODEL = "openai-api/shop/writer"
PRICE = "openai-api/shop/writer=1000,5"
DESCRIPTION = "a person who is fond of trains"
IN, OUT = 40, 8


def shop(call: Call, number: int) -> Step:
    """Writes another statement each time, and answers Yes or No by the text, with log-probabilities."""
    digest = hashlib.sha256(json.dumps(call.body, sort_keys=True).encode()).hexdigest()
    usage = {"prompt_tokens": IN, "completion_tokens": OUT}
    if "logprobs" not in call.body:
        words = " ".join(
            digest[i : i + 4].translate(str.maketrans("0123456789", "ghijklmnop")) for i in range(0, 32, 4)
        )
        against = re.search("disagree|never|opposite", call.body["messages"][-1]["content"])
        message = {"role": "assistant", "content": f"- I {'avoid' if against else 'look forward to'} trains of {words}"}
        return Step({"choices": [{"index": 0, "finish_reason": "stop", "message": message}], "usage": usage})
    yes = "fond of trains" in json.dumps(call.body) and int(digest[:2], 16) % 2
    top = [{"token": t, "logprob": lp} for t, lp in (("Yes", -0.02 if yes else -4.0), ("No", -4.0 if yes else -0.02))]
    listed = {"content": [{"token": top[0]["token"], "logprob": -0.02, "top_logprobs": top}]}
    choice = {
        "index": 0,
        "finish_reason": "length",
        "message": {"role": "assistant", "content": "Y"},
        "logprobs": listed,
    }
    return Step({"choices": [choice], "usage": usage})


def bill(server: FaultServer) -> float:
    return (1000 * IN + 5 * OUT) * len(server.calls) / 1e6


def mwe(folder: Path, server: FaultServer | None, *arguments: str, **variables: str) -> Any:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MWE_", "OPENAI", "ANTHROPIC"))},
        "MWE_CACHE_DIR": str(folder / "calls"),
        "MWE_EMBEDDER": "none",
        "SHOP_BASE_URL": f"{server.url}/v1" if server else "http://127.0.0.1:9/v1",
        "PYTHONPATH": str(Path(__file__).parent.parent),
        **variables,
    }
    command = [sys.executable, "-m", "pipeline.cli", *arguments, "--json"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_dry_run_needs_neither_key_nor_server_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = mwe(
        tmp_path, None, "generate", DESCRIPTION, "--model", "anthropic/claude-haiku-4-5", "--judge",
        "openai/gpt-4.1-mini", "--dry-run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert 0 < found["cost"]["low"] < found["cost"]["expected"] < found["cost"]["high"]
    assert {row["model"] for row in found["stages"]} == {"anthropic/claude-haiku-4-5", "openai/gpt-4.1-mini"}
    assert "genai-prices" in found["prices"]["openai/gpt-4.1-mini"]["source"]
    assert "nothing was sent" in done.stderr
    assert not (tmp_path / "generated").exists()


def test_a_dry_run_shows_an_unknown_price_as_unknown(tmp_path: Path) -> None:
    done = mwe(tmp_path, None, "generate", DESCRIPTION, "--model", MODEL, "--judge", "fake/judge", "--dry-run")
    assert json.loads(done.stdout)["cost"] == {"low": None, "expected": None, "high": None}
    assert "unknown" in done.stderr and "--price" in done.stderr


@pytest.mark.parametrize("verb", [["generate", DESCRIPTION], ["discover", DESCRIPTION, "--models", MODEL]])
def test_a_budget_without_a_known_price_is_wrong_use_and_says_how_to_give_one(verb: list[str], tmp_path: Path) -> None:
    with serving(shop) as server:
        done = mwe(tmp_path, server, *verb, "--model", MODEL, "--judge", MODEL, "--budget", "1")
        assert (done.returncode, server.calls) == (2, [])
    assert "--price" in done.stderr and "mwe.toml" in done.stderr


def test_a_budget_stops_in_time_keeps_what_passed_and_the_same_command_goes_on(tmp_path: Path) -> None:
    command = ["generate", DESCRIPTION, "-n", "300", "--model", MODEL, "--judge", "fake/judge", "--price", PRICE]
    with serving(shop) as server:
        done = mwe(tmp_path, server, *command, "--budget", "8")
        assert done.returncode == 3, done.stderr
        assert 4 < bill(server) <= 8
        first = json.loads(done.stdout)
        assert first["cost"] == pytest.approx(bill(server))
        assert "the budget of $8.00 is reached" in done.stderr
        assert "mwe generate" in done.stderr.splitlines()[-1] and "--budget 8" in done.stderr.splitlines()[-1]
        paid = len(server.calls)
        again = mwe(tmp_path, server, *command, "--budget", "60")
        assert again.returncode in {0, 3}, again.stderr
        second = json.loads(again.stdout)
        assert second["calls"]["reused"] >= paid
        assert len(server.calls) - paid == second["calls"]["made"] - fake_calls(second)
        bodies = [json.dumps(call.body, sort_keys=True) for call in server.calls]
        assert len(set(bodies)) == len(bodies)


def fake_calls(outcome: dict[str, Any]) -> int:
    """Calls of the judge, which runs here and costs nothing."""
    made = outcome["calls"]["made"]
    return made - round(outcome["cost"] / ((1000 * IN + 5 * OUT) / 1e6))


def test_the_manifest_has_the_estimate_beside_the_cost(tmp_path: Path) -> None:
    with serving(shop) as server:
        done = mwe(
            tmp_path, server, "generate", DESCRIPTION, "-n", "4", "--model", MODEL, "--judge", "fake/judge",
            "--price", PRICE, "--budget", "50",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / json.loads(done.stdout)["path"] / "manifest.json").read_text())
    assert manifest["calls"]["cost"] == pytest.approx(bill(server))
    cost = manifest["estimate"]["cost"]
    assert cost["low"] < cost["expected"] < cost["high"]
    assert manifest["estimate"]["prices"][MODEL] == {"input": 1000.0, "output": 5.0, "source": "given by you"}


def test_discover_with_a_spent_budget_still_publishes_runs_what_is_free_and_reports(tmp_path: Path) -> None:
    with serving(shop) as server:
        done = mwe(
            tmp_path, server, "discover", DESCRIPTION, "-n", "4", "--model", "fake/writer", "--judge", "fake/judge",
            "--models", f"{MODEL},fake/1b", "--price", PRICE, "--budget", "0.1",
        )  # fmt: skip
        assert (done.returncode, server.calls) == (3, []), done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["generate"]["items"] == 4
    assert [point["model"] for point in outcome["report"]["points"]] == ["fake/1b"]


def test_what_is_stored_already_is_free_in_the_estimate(tmp_path: Path) -> None:
    command = ["generate", DESCRIPTION, "-n", "4", "--model", MODEL, "--judge", "fake/judge", "--price", PRICE]
    with serving(shop) as server:
        assert mwe(tmp_path, server, *command).returncode == 0
        asked = len(server.calls)
        (row,) = [
            row for row in json.loads(mwe(tmp_path, server, *command, "--dry-run").stdout)["stages"]
            if row["model"] == MODEL
        ]  # fmt: skip
        assert len(server.calls) == asked
    assert (row["low"]["calls"], row["low"]["cost"]) == (0, 0)
    assert 0 < row["low"]["reused"] <= asked


def test_a_dry_run_of_batches_expects_half_the_price_and_at_the_worst_the_whole(tmp_path: Path) -> None:
    command = ["generate", DESCRIPTION, "--model", "fake/w", "--judge", "openai/gpt-4.1-mini", "-n", "4", "--dry-run"]
    live, batch = (json.loads(mwe(tmp_path, None, *command, *more).stdout) for more in ([], ["--batch"]))

    def a_token(found: Any, case: str) -> float:
        rows = [row[case] for row in found["stages"] if row["model"] == "openai/gpt-4.1-mini"]
        return float(sum(row["cost"] for row in rows) / sum(row["tokens_in"] for row in rows))

    assert a_token(batch, "expected") == pytest.approx(a_token(live, "expected") / 2, rel=0.02)
    assert a_token(batch, "high") == pytest.approx(a_token(live, "high"), rel=0.02)


def test_the_manifest_of_a_screened_version_has_the_estimate_of_the_screening(tmp_path: Path) -> None:
    fake = ["--judge", "fake/judge", "--price"]
    made = mwe(tmp_path, None, "generate", DESCRIPTION, "-n", "4", "--model", "fake/w", *fake, "fake/w=100,100")
    first = json.loads((tmp_path / json.loads(made.stdout)["path"] / "manifest.json").read_text())
    screened = ["screen", first["name"], "--filter", "preference:threshold=.5", *fake]
    assert mwe(tmp_path, None, *screened, "fake/judge=10,10").returncode == 0
    second = json.loads((tmp_path / "generated" / first["name"] / "v2" / "manifest.json").read_text())
    assert set(first["estimate"]["prices"]) == {"fake/w", "fake/judge"}
    assert set(second["estimate"]["prices"]) == {"fake/judge"}
    assert second["estimate"]["cost"]["expected"] > 0
