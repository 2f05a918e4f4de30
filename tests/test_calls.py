"""The call store: what is answered is never asked again, and groups are computed whole."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.calls import CallStore, StoredModel
from pipeline.errors import PipelineError
from pipeline.ports import (
    Choice,
    ChoiceRequest,
    Completion,
    Embedding,
    EmbeddingRequest,
    Message,
    Reply,
    Request,
    Reward,
    RewardRequest,
    SampleRequest,
)
from pipeline.schema import ModelInfo


class Counting:
    """A provider that counts what it is asked; its groups are consecutive chunks of `size`."""

    def __init__(self, size: int = 1, fail_after: int | None = None, **identity: Any) -> None:
        self.size, self.fail_after, self._identity, self.asked = size, fail_after, identity, 0
        self.info = ModelInfo(name="fake/counting")

    def identity(self) -> Mapping[str, Any]:
        return self._identity

    def groups(self, requests: Sequence[Request]) -> list[list[int]]:
        indices = list(range(len(requests)))
        return [indices[i : i + self.size] for i in range(0, len(indices), self.size)]

    def answer(self, requests: Sequence[Request]) -> Iterator[Mapping[int, Reply]]:
        for group in self.groups(requests):
            if self.fail_after is not None and self.asked >= self.fail_after:
                raise PipelineError("out of order")
            self.asked += len(group)
            yield {i: reply_to(requests[i]) for i in group}


def reply_to(request: Request) -> Reply:
    match request:
        case SampleRequest():
            return Completion(f"text {request.index}\u2028", "stop", 3, 2)
        case ChoiceRequest():
            return Choice((-0.1, -2.5), "loglikelihood", ("Yes", "No"), tokens_in=5, tokens_out=1)
        case EmbeddingRequest():
            return Embedding(np.array([0.6, 0.8], dtype=np.float32), 2)
        case RewardRequest():
            return Reward(1.5, 4)


def samples(n: int) -> list[SampleRequest]:
    return [SampleRequest((Message("user", "Write."),), 8, index=i) for i in range(n)]


def test_a_second_ask_reaches_no_model_and_gives_equal_replies(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    dialog = (Message("user", "Hello?"),)
    told = StoredModel(first, CallStore(tmp_path))
    again = StoredModel(second, CallStore(tmp_path))
    choices = [ChoiceRequest(dialog, (" Yes", " No"))]
    assert told.sample(samples(3)) == again.sample(samples(3))
    assert told.choose(choices) == again.choose(choices)
    assert np.array_equal(told.embed(["a", "b"]), again.embed(["a", "b"]))
    assert told.score([dialog]) == again.score([dialog]) == [1.5]
    assert (first.asked, second.asked) == (7, 0)
    assert (told.tally.made, again.tally.made, again.tally.reused) == (7, 0, 7)
    assert (told.tally.tokens_in, told.tally.tokens_out) == (3 * 3 + 5 + 4 + 4, 3 * 2 + 1)


def test_another_model_revision_seed_or_option_is_another_call(tmp_path: Path) -> None:
    keys = {StoredModel(Counting(revision=r), CallStore(tmp_path)).keys(samples(1))[0] for r in ("a", "b")}
    model = StoredModel(Counting(revision="a"), CallStore(tmp_path))
    dialog = (Message("user", "Write."),)
    others: list[Request] = [
        SampleRequest(dialog, 8, index=1),
        SampleRequest(dialog, 8, seed=1),
        SampleRequest(dialog, 8, temperature=0.5),
        SampleRequest((Message("assistant", "Write."),), 8),
        ChoiceRequest(dialog, (" Yes", " No")),
        ChoiceRequest(dialog, (" No", " Yes")),
    ]
    keys |= set(model.keys(others))
    assert len(keys) == 8


def test_a_crash_between_groups_loses_no_finished_group(tmp_path: Path) -> None:
    broken = Counting(size=2, fail_after=4)
    with pytest.raises(PipelineError, match="out of order"):
        StoredModel(broken, CallStore(tmp_path)).sample(samples(7))
    healed = Counting(size=2)
    assert len(StoredModel(healed, CallStore(tmp_path)).sample(samples(7))) == 7
    assert (broken.asked, healed.asked) == (4, 3)


def test_a_group_with_one_missing_call_is_computed_whole(tmp_path: Path) -> None:
    store = CallStore(tmp_path)
    model = StoredModel(Counting(size=3), store)
    model.sample(samples(3))
    with sqlite3.connect(store.path) as database:
        database.execute("DELETE FROM calls WHERE key = ?", (bytes.fromhex(model.keys(samples(3))[1]),))
    again = Counting(size=3)
    StoredModel(again, store).sample(samples(3))
    assert again.asked == 3


def test_the_answer_of_a_grouped_call_depends_on_its_whole_group(tmp_path: Path) -> None:
    model = StoredModel(Counting(size=4), CallStore(tmp_path))
    alone, together = model.keys(samples(1)), model.keys(samples(2))
    assert alone[0] != together[0]
    ungrouped = StoredModel(Counting(), CallStore(tmp_path))
    assert ungrouped.keys(samples(1))[0] == ungrouped.keys(samples(2))[0]


def test_a_request_that_stands_twice_in_a_list_is_asked_once(tmp_path: Path) -> None:
    provider = Counting()
    replies = StoredModel(provider, CallStore(tmp_path)).sample([*samples(2), *samples(2)])
    assert provider.asked == 2
    assert [reply.text for reply in replies] == ["text 0\u2028", "text 1\u2028"] * 2


def test_the_request_behind_a_call_can_be_looked_up(tmp_path: Path) -> None:
    store = CallStore(tmp_path)
    model = StoredModel(Counting(), store)
    model.sample(samples(1))
    found = store.request(model.keys(samples(1))[0])
    assert found is not None
    assert found["messages"] == [{"role": "user", "content": "Write."}]
    assert store.request("0" * 64) is None


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    path.write_bytes(b"not a database, but long enough to be read as one" * 50)
    with pytest.raises(PipelineError, match=r"calls\.sqlite"):
        StoredModel(Counting(), CallStore(tmp_path)).sample(samples(1))
    assert path.read_bytes().startswith(b"not a database")


WRITE_FOREVER = """
import sys
from pathlib import Path
from pipeline.calls import CallStore
from pipeline.ports import Completion, Message, SampleRequest
store, request = CallStore(Path(sys.argv[1])), SampleRequest((Message("user", "x"),), 1)
for group in range(10**6):
    store.put("fake/x", {f"{group}-{i}": (request, Completion("y", "stop")) for i in range(10)})
    print(group, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_what_was_committed_before_a_kill_is_there_and_groups_are_never_halved(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", WRITE_FOREVER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    committed = [int(child.stdout.readline()) for _ in range(50)][-1]
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    store = CallStore(tmp_path)
    keys = [f"{group}-{i}" for group in range(committed + 1) for i in range(10)]
    assert len(store.get(keys)) == len(keys)
    with sqlite3.connect(store.path) as database:
        assert database.execute("SELECT count(*) FROM calls").fetchone()[0] % 10 == 0
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_two_processes_may_write_the_same_calls_at_once(tmp_path: Path) -> None:
    script = WRITE_FOREVER.replace("10**6", "200")
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.DEVNULL) for _ in "ab"
    ]
    assert [child.wait() for child in children] == [0, 0]
    with sqlite3.connect(tmp_path / "calls.sqlite") as database:
        assert database.execute("SELECT count(*) FROM calls").fetchone()[0] == 2_000
