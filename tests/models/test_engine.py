"""The engine against plain forward passes of `transformers` on tiny random models."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from transformers import AutoModelForCausalLM

from pipeline.errors import ModelError, ModelUnavailable, Unsupported
from pipeline.models import _attention, _checkpoint, _engine, _prefixes
from pipeline.models._engine import Engine
from pipeline.models._lean import Lean
from pipeline.models._modules import Modules
from pipeline.models._sampling import draw, guided, random_stream
from pipeline.models._work import Job, Question

from .tiny import write_model

KINDS = ("llama", "qwen2", "qwen3", "gpt2")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: write_model(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}


@pytest.fixture(scope="module")
def engines(folders: dict[str, Path]) -> dict[str, Engine]:
    return {kind: _engine.load(folder, "cpu", "float32") for kind, folder in folders.items()}


def tokens(stream: random.Random, length: int) -> tuple[int, ...]:
    return tuple(stream.randrange(1, 90) for _ in range(length))


def some_questions(seed: int = 0) -> list[Question]:
    """Two clusters of prompts below one beginning, a stranger, and options of several tokens with equal starts."""
    stream = random.Random(seed)
    start = tokens(stream, 50)
    clusters = [start + tokens(stream, 30), start + tokens(stream, 20)]
    several = ((5, 6, 7), (5, 6, 8, 9), (11,))
    questions = [Question(clusters[i % 2] + tokens(stream, 1 + i), ((5,), (7,))) for i in range(12)]
    questions += [Question(clusters[0] + tokens(stream, 3), several), Question(tokens(stream, 9), several)]
    return [*questions, Question((4,), ((5,), (6,))), questions[0]]


def plain_scores(folder: Path, question: Question) -> list[float]:
    """One unbatched forward pass an option."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    scores = []
    with torch.inference_mode():
        for option in question.options:
            ids = torch.tensor([[*question.prompt, *option]])
            log_p = model(input_ids=ids).logits[0].double().log_softmax(-1)
            places = range(len(question.prompt) - 1, ids.shape[1] - 1)
            scores.append(sum(float(log_p[i, token]) for i, token in zip(places, option, strict=True)))
    return scores


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_plain_forward_passes(
    kind: str, engines: dict[str, Engine], folders: dict[str, Path]
) -> None:
    questions = some_questions()
    for question, scores in zip(questions, engines[kind].score(questions)[0], strict=True):
        assert scores == pytest.approx(plain_scores(folders[kind], question), abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_states_are_those_of_plain_forward_passes_and_leave_the_scores_as_they_are(
    kind: str, engines: dict[str, Engine], folders: dict[str, Path]
) -> None:
    questions = some_questions()
    model = AutoModelForCausalLM.from_pretrained(folders[kind])
    scores, states = engines[kind].score(questions, layer=1)
    assert scores == engines[kind].score(questions)[0]
    for question, state in zip(questions, states, strict=True):
        with torch.inference_mode():
            plain = model(input_ids=torch.tensor([question.prompt]), output_hidden_states=True).hidden_states[1][0, -1]
        assert state == pytest.approx(plain.numpy(), abs=1e-3)
    with pytest.raises(Unsupported, match="2 layers"):
        engines[kind].score(questions, layer=2)


@pytest.mark.parametrize("kind", KINDS)
def test_llama_like_models_run_lean_and_others_through_transformers(kind: str, engines: dict[str, Engine]) -> None:
    assert type(engines[kind]._network) is (Modules if kind == "gpt2" else Lean)


def test_biases_and_scaled_rotary_positions_are_computed_as_transformers_does(tmp_path: Path) -> None:
    rope = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0}
    rope |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 64}
    settings = {"attention_bias": True, "mlp_bias": True, "rope_parameters": rope, "tie_word_embeddings": True}
    folder = write_model(tmp_path, "llama", **settings)
    questions = some_questions()
    engine = _engine.load(folder, "cpu", "float32")
    assert type(engine._network) is Lean
    for question, scores in zip(questions, engine.score(questions)[0], strict=True):
        assert scores == pytest.approx(plain_scores(folder, question), abs=1e-3)


def test_a_sliding_window_is_left_to_transformers(tmp_path: Path) -> None:
    folder = write_model(tmp_path, "qwen2", use_sliding_window=True, sliding_window=16, max_window_layers=0)
    assert type(_engine.load(folder, "cpu", "float32")._network) is Modules


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_group_twice_gives_the_same_bits(kind: str, engines: dict[str, Engine]) -> None:
    engine, questions = engines[kind], some_questions()
    assert engine.score(questions) == engine.score(questions)
    jobs = [Job(q.prompt, 20, index=i, top_p=0.9) for i, q in enumerate(questions)]
    assert engine.generate(jobs) == engine.generate(jobs)


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_decoding_writes_what_transformers_generates(
    kind: str, engines: dict[str, Engine], folders: dict[str, Path]
) -> None:
    prompts = [question.prompt for question in some_questions()]
    model = AutoModelForCausalLM.from_pretrained(folders[kind])
    texts = engines[kind].generate(
        [Job(prompt, 80 if i % 3 else 12, temperature=0) for i, prompt in enumerate(prompts)]
    )
    for i, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
        ids = torch.tensor([prompt])
        with torch.inference_mode():
            out = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=80 if i % 3 else 12, do_sample=False
            )[0, len(prompt) :].tolist()
        wanted = engines[kind]._tokenizer.decode(out, skip_special_tokens=True)
        assert (text.text, text.tokens) == (wanted, len(out))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_are_dropped_leave_the_others_as_they_were(kind: str, engines: dict[str, Engine]) -> None:
    network = engines[kind]._network
    prompts = [question.prompt for question in some_questions()[:5]]
    whole, part = (network.start(prompts, [0, 1, 0, 3, 4, 2], 30) for _ in range(2))
    part.keep(torch.tensor([1, 2, 4]))
    for step in range(20):
        following = torch.arange(6) + step
        whole.step(following)
        part.step(following[[1, 2, 4]])
    assert torch.allclose(whole.logits[[1, 2, 4]], part.logits, atol=1e-4)


def test_a_draw_depends_on_seed_and_index_and_not_on_its_neighbours(engines: dict[str, Engine]) -> None:
    engine, prompt = engines["llama"], some_questions()[0].prompt
    alone = engine.generate([Job(prompt, 15, index=3)])[0]
    together = engine.generate([Job(prompt, 15, index=i) for i in range(6)])
    assert together[3] == alone
    assert len({text.text for text in together}) > 1
    assert engine.generate([Job(prompt, 15, seed=1, index=3)])[0] != alone


def test_text_ends_before_the_first_stop_string(engines: dict[str, Engine]) -> None:
    engine, prompt = engines["llama"], some_questions()[0].prompt
    free = engine.generate([Job(prompt, 60, index=i) for i in range(8)])
    stopped = engine.generate([Job(prompt, 60, index=i, stop=("e", "N")) for i in range(8)])
    assert any(text.stopped for text in stopped)
    for before, after in zip(free, stopped, strict=True):
        cut = min([before.text.find(mark) for mark in "eN" if mark in before.text], default=len(before.text))
        assert after.text == before.text[:cut]


def test_guidance_moves_away_from_the_contrast_within_the_plausible_tokens() -> None:
    logits = torch.tensor([[5.0, 4.9, 4.0, -9.0]])
    contrast = torch.tensor([[5.0, 1.0, 4.0, -99.0]])
    moved = guided(logits, contrast, torch.tensor([2.0]))
    assert int(moved.argmax()) == 1
    assert moved[0, 3] == -torch.inf


def test_guidance_of_a_prompt_against_itself_changes_nothing(engines: dict[str, Engine]) -> None:
    engine, prompt = engines["llama"], some_questions()[0].prompt
    plain = engine.generate([Job(prompt, 20, temperature=0)])
    assert engine.generate([Job(prompt, 20, temperature=0, contrast=prompt, guidance=1.5)]) == plain


def test_guided_and_plain_jobs_of_one_group_keep_to_their_own_prompts(engines: dict[str, Engine]) -> None:
    engine, questions = engines["llama"], some_questions()
    prompt, other = questions[0].prompt, questions[13].prompt
    plain, moved = Job(prompt, 12, temperature=0), Job(prompt, 25, temperature=0, contrast=other, guidance=1.0)
    together = engine.generate([plain, moved, plain, moved])
    assert together == engine.generate([plain]) * 1 + engine.generate([moved]) + together[:2]


def test_draws_follow_the_renormalised_nucleus() -> None:
    torch.manual_seed(0)
    logits, n = torch.randn(1, 300) * 2, 20_000
    drawn = draw(
        logits.expand(n, -1), torch.full((n,), 0.8), torch.full((n,), 0.7), [random_stream(0, i) for i in range(n)]
    )
    p, ids = (logits[0] / 0.8).softmax(-1).sort(descending=True)
    nucleus = np.zeros(300)
    inside = (p.cumsum(0) - p) < 0.7
    nucleus[ids[inside].numpy()] = (p[inside] / p[inside].sum()).numpy()
    shares = np.bincount(drawn, minlength=300) / n
    assert shares[nucleus == 0].sum() == 0
    # Four standard errors a token; a wrong nucleus or temperature is off by far more.
    assert (np.abs(shares - nucleus) <= 4 * np.sqrt(nucleus / n) + 1e-12).all()


def test_a_temperature_of_zero_and_an_empty_nucleus_take_the_best_token() -> None:
    logits = torch.randn(2, 500)
    drawn = draw(logits, torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0]), [random_stream(0, i) for i in range(2)])
    assert drawn.tolist() == logits.argmax(-1).tolist()


def test_logits_that_are_not_numbers_are_an_error() -> None:
    with pytest.raises(ModelError, match="not numbers"):
        draw(torch.full((1, 10), torch.nan), torch.ones(1), torch.ones(1), [random_stream(0, 0)])


@pytest.mark.parametrize("causal", [True, False])
def test_the_fused_attention_is_the_plain_one(causal: bool) -> None:
    q, k, v = torch.randn(3, 4, 7, 16), torch.randn(3, 2, 7, 16), torch.randn(3, 2, 7, 16)
    for fused, plain in zip(
        _attention.attend(q, k, v, causal), _attention.attend_plainly(q, k, v, causal), strict=True
    ):
        assert torch.allclose(fused, plain, atol=1e-5)


def test_attention_over_two_sets_of_keys_merges_to_that_over_their_union() -> None:
    q, k, v = torch.randn(1, 4, 5, 16), torch.randn(1, 2, 12, 16), torch.randn(1, 2, 12, 16)
    parts = [_attention.attend(q, k[:, :, a:b], v[:, :, a:b], causal=False) for a, b in ((0, 8), (8, 12))]
    assert torch.allclose(
        _attention.merge(*parts[0], *parts[1]), _attention.attend(q, k, v, causal=False)[0], atol=1e-5
    )


@pytest.mark.parametrize("seed", range(20))
def test_parts_put_together_are_the_rows(seed: int) -> None:
    stream = random.Random(seed)
    rows = [tokens(stream, stream.randrange(1, 60)) for _ in range(4)]
    rows += [stream.choice(rows) + tokens(stream, stream.randrange(0, 30)) for _ in range(12)]
    parts = _prefixes.plan_parts(rows, [stream.randrange(1, 5) for _ in rows])
    ends = [part for part in parts if not part.is_shared]
    assert sorted(part.row for part in ends) == list(range(len(rows)))
    for end in ends:
        text, part = list(rows[end.row][end.start : end.stop]), end
        assert text
        while part.parent >= 0:
            child, part = part, parts[part.parent]
            assert part.stop == child.start and part.level == child.level - 1
            text = [*rows[part.row][part.start : part.stop], *text]
        assert (part.start, tuple(text)) == (0, rows[end.row])


def test_a_long_common_beginning_is_read_once() -> None:
    rows = [(*range(400), 1000 + i) for i in range(64)]
    assert sum(part.length for part in _prefixes.plan_parts(rows)) <= 400 + 64 * _prefixes.GRAIN


def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers(engines: dict[str, Engine]) -> None:
    with pytest.raises(Unsupported, match=r"600.* 512 tokens"):
        engines["llama"].generate([Job(tuple([5] * 599), 10)])


def test_text_stops_at_the_end_of_the_context(engines: dict[str, Engine]) -> None:
    text = engines["llama"].generate([Job(tuple([5] * 505), 50, index=i) for i in range(3)])[0]
    assert text.tokens <= 7


def test_weights_that_do_not_fit_into_memory_are_refused(folders: dict[str, Path], monkeypatch: Any) -> None:
    monkeypatch.setattr(_engine, "available_memory", lambda: 1000)
    with pytest.raises(ModelUnavailable, match="GB are free"):
        _engine.load(folders["llama"], "cpu", "float32")


def test_a_folder_without_weights_or_tokenizer_says_which_is_missing(folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelUnavailable, match=r"no \.safetensors"):
        _checkpoint.check_folder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((folders["llama"] / "model.safetensors").read_bytes())
    with pytest.raises(ModelUnavailable, match="no tokenizer"):
        _checkpoint.check_folder(tmp_path)


def test_a_truncated_weight_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(ModelUnavailable, match="not a whole safetensors file"):
        _checkpoint.read_header(tmp_path / "model.safetensors")


def test_tied_matrices_are_counted_once(tmp_path: Path) -> None:
    untied = _checkpoint.count_parameters(write_model(tmp_path / "untied", "llama"))
    tied = _checkpoint.count_parameters(write_model(tmp_path / "tied", "llama", tie_word_embeddings=True))
    vocabulary = _checkpoint.read_config(tmp_path / "tied")["vocab_size"]
    assert untied - tied == vocabulary * 32
