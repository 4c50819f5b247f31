"""Digests: what they follow, and that nothing is read twice for nothing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exeunt.command import fingerprints
from exeunt.command.fingerprints import Digests
from exeunt.command.steps import step_of
from exeunt.config import tree
from exeunt.errors import InputError

TEXT = """
name = "own"
[data]
dataset = "pets"
[model]
source = "{source}"
input = [8, 8, 1]
classes = 10
"""


@pytest.fixture
def reads(monkeypatch):
    """The names of the files that are read."""
    seen = []
    real = fingerprints._file
    monkeypatch.setattr(fingerprints, "_file", lambda p: seen.append(p.name) or real(p))
    return seen


@pytest.fixture
def settled(monkeypatch):
    """As if everything had been written long ago."""
    monkeypatch.setattr(fingerprints, "_SETTLED", -3600.0)


def test_files_and_folders(tmp_path):
    (tmp_path / "a").write_text("1")
    digests = Digests()
    before = digests.of(tmp_path)
    (tmp_path / ".part").write_text("half")
    assert digests.of(tmp_path) == before
    (tmp_path / "b").write_text("")
    assert digests.of(tmp_path) != before
    assert digests.of(tmp_path / "none") is None
    assert digests.of(tmp_path / "a") == Digests().of(tmp_path / "a")
    (tmp_path / "c").mkdir()
    (tmp_path / "a").rename(tmp_path / "c" / "a")
    assert digests.of(tmp_path) != before


def test_what_has_not_changed_is_not_read_again(tmp_path, reads, settled):
    folder, cache = tmp_path / "set", tmp_path / "cache.json"
    folder.mkdir()
    for name in "abc":
        (folder / name).write_text(name)
    first = Digests(cache)
    known = first.of(folder)
    first.save()
    assert sorted(reads) == ["a", "b", "c"]
    second = Digests(cache)
    assert second.of(folder) == known
    assert second.of(folder) == known
    assert len(reads) == 3
    found = (folder / "a").stat()
    (folder / "a").write_text("x")  # of the same size, and its time put back
    os.utime(folder / "a", ns=(found.st_atime_ns, found.st_mtime_ns))
    assert Digests(cache).of(folder) != known


def test_a_file_written_just_now_is_read_again(tmp_path, reads):
    cache = tmp_path / "cache.json"
    (tmp_path / "a").write_text("1")
    first = Digests(cache)
    first.of(tmp_path / "a")
    first.save()
    Digests(cache).of(tmp_path / "a")
    assert reads == ["a", "a"], "a change in the same tick of the clock would not show"


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 3}', '{"a": ["x"]}'])
def test_a_damaged_memory_is_forgotten(tmp_path, content):
    (tmp_path / "cache.json").write_text(content)
    (tmp_path / "a").write_text("1")
    assert Digests(tmp_path / "cache.json").of(tmp_path / "a") == Digests().of(tmp_path / "a")


def test_a_memory_that_cannot_be_written_is_no_harm(tmp_path, settled):
    (tmp_path / "a").write_text("1")
    digests = Digests(tmp_path / "a" / "cache.json")
    digests.of(tmp_path / "a")
    digests.save()


def test_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / "a").symlink_to("/proc/self/mem")  # also root gets an error from it
    with pytest.raises(InputError, match=r"^.*/a must be readable, got input/output error: change"):
        Digests().of(tmp_path / "a")


def test_a_link_to_itself(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "a")
    sentence = r"^.*/a must be readable, got too many levels of symbolic links: change its perm"
    with pytest.raises(InputError, match=sentence):
        Digests().of(tmp_path / "a")


def parts(config: tree.Config, data: Path, step: str = "train") -> dict[str, str]:
    return fingerprints.parts(step_of(step), config, data / "run", data, Digests())


def external(path: Path, seed: int) -> None:
    """A file whose weights lie beside it, one of them in the attribute of a node."""
    values = np.random.default_rng(seed).normal(size=(4, 4)).astype(np.float32)
    weight = numpy_helper.from_array(values, "w")
    inner = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(values + 1, "v"))
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 4]) for n in "xy")
    model = helper.make_model(helper.make_graph([inner, node], "g", [x], [y], [weight]))
    (path.parent / "weights.bin").unlink(missing_ok=True)
    onnx.save_model(
        model,
        path,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
        convert_attribute=True,
    )


def test_weights_beside_a_qonnx_file(tmp_path):
    path = tmp_path / "net.onnx"
    config = tree.parse(TEXT.format(source="qonnx:net.onnx"), folder=tmp_path)
    external(path, 0)
    before, kept = parts(config, tmp_path), path.read_bytes()
    assert set(before) >= {"model.source net.onnx", "weights weights.bin"}
    external(path, 1)
    assert path.read_bytes() == kept
    now = parts(config, tmp_path)
    assert fingerprints.difference(before, now) == "weights weights.bin"
    (tmp_path / "weights.bin").unlink()
    assert parts(config, tmp_path)["weights weights.bin"] == fingerprints.ABSENT
    path.write_bytes(b"no model")
    assert "weights weights.bin" not in parts(config, tmp_path)


def test_code_that_a_python_network_imports(tmp_path):
    config = tree.parse(TEXT.format(source="python:net.py:Net"), folder=tmp_path)
    (tmp_path / "net.py").write_text("from blocks import Block\n")
    (tmp_path / "blocks.py").write_text("class Block: pass\n")
    (tmp_path / "other.py").write_text("")
    before = parts(config, tmp_path)
    (tmp_path / "other.py").write_text("x = 1")
    assert parts(config, tmp_path) == before
    (tmp_path / "blocks.py").write_text("class Block: bits = 3\n")
    assert fingerprints.difference(before, parts(config, tmp_path)) == "code blocks.py"


def test_folding_file(tmp_path):
    text = TEXT.format(source="qonnx:net.onnx") + "[compile]\nfolding = 'fold.json'\n"
    config = tree.parse(text, folder=tmp_path)
    before = parts(config, tmp_path, "compile")
    (tmp_path / "fold.json").write_text("{}")
    now = parts(config, tmp_path, "compile")
    assert fingerprints.difference(before, now) == "folding file fold.json"


def test_explanations_in_hardware_are_compiled_anew(tmp_path):
    text = TEXT.format(source="qonnx:net.onnx")
    found = {
        key: tree.parse(f"{text}[explain]\nhardware = {key}\n", folder=tmp_path)
        for key in ("false", "true", "{ bits = 6 }")
    }
    plain = tree.parse(text, folder=tmp_path)
    before = parts(plain, tmp_path, "compile")
    assert parts(found["false"], tmp_path, "compile") == before
    assert parts(plain, tmp_path, "explain") == parts(found["false"], tmp_path, "explain")
    told = [parts(found[key], tmp_path, "compile") for key in ("true", "{ bits = 6 }")]
    assert fingerprints.difference(before, told[0]) == "explain.hardware"
    assert fingerprints.difference(*told) == "explain.hardware"
    for step in ("train", "calibrate", "export"):
        assert parts(found["true"], tmp_path, step) == parts(plain, tmp_path, step)


def test_weights_to_start_with(tmp_path):
    text = TEXT.format(source="python:net.py:Net") + "[train]\nstart = 'first.pt'\n"
    (tmp_path / "net.py").write_text("class Net: pass\n")
    config = tree.parse(text, folder=tmp_path)
    before = parts(config, tmp_path)
    (tmp_path / "first.pt").write_text("weights")
    assert fingerprints.difference(before, parts(config, tmp_path)) == "train.start"


def test_files_that_a_class_opens(tmp_path):
    (tmp_path / "net.py").write_text("class Net: ...\n")
    (tmp_path / "weights.pt").write_bytes(b"1")
    text = TEXT.format(source="python:net.py:Net").replace(
        "input =", 'files = ["weights.pt"]\ninput ='
    )
    config = tree.parse(text, folder=tmp_path)
    assert config.model.files == (str(tmp_path / "weights.pt"),)
    assert tree.parse(tree.to_toml(config)) == config
    train, digests = step_of("train"), Digests()
    before = fingerprints.parts(train, config, tmp_path, tmp_path, digests)
    (tmp_path / "weights.pt").write_bytes(b"2")
    after = fingerprints.parts(train, config, tmp_path, tmp_path, digests)
    assert fingerprints.difference(before, after) == "model.files weights.pt"
    unnamed = tree.parse(TEXT.format(source="python:net.py:Net"), folder=tmp_path)
    assert tree.hash_of(unnamed) == tree.hash_of(config)
    with pytest.raises(InputError, match=r"files must be absent unless source is a Python class"):
        tree.parse(text.replace("python:net.py:Net", "qonnx:net.onnx"), folder=tmp_path)
