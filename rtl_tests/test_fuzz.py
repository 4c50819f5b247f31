"""Some random networks the whole way; `make fuzz SEEDS=N` tries as many as you like."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import asdict
from pathlib import Path

import against_qonnx
import fuzz
import numpy as np
import onnx
import pytest
import random_activations
import random_files

from exeunt.config import tree
from exeunt.qonnx import file, meaning, operators
from exeunt.simulate import verilator


def test_a_seed_is_a_legal_config_and_always_the_same():
    texts = [fuzz.text(seed) for seed in range(20)]
    assert texts == [fuzz.text(seed) for seed in range(20)]
    assert len(set(texts)) == 20
    assert {len(tree.parse(text).model.stages) for text in texts} == {1, 2, 3, 4}


@pytest.mark.sim
@pytest.mark.parametrize("seed", [8, 9])
def test_answers_and_cycles(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    quick = verilator.Options(quick=True)
    monkeypatch.setattr(verilator, "build", functools.partial(verilator.build, options=quick))
    outcome = fuzz.attempt(seed, tmp_path)
    assert outcome.verdict == "ok", outcome.said
    assert "0 mismatches" in outcome.said
    assert len(json.loads((tmp_path / "run" / "exits.json").read_text())["thresholds"]) > 1


@pytest.mark.parametrize("seed", range(2005, 2017))
def test_a_random_file_is_compiled(seed: int, tmp_path: Path):
    """Its integers are those of QONNX, or a sentence says why not."""
    outcome = fuzz.attempt_file(seed, tmp_path, simulated=False)
    assert outcome.verdict in ("ok", "refused"), outcome.said


@pytest.mark.sim
@pytest.mark.parametrize("seed", [2001, 2003, 2005, 2006])
def test_a_random_file_through_the_rtl(seed: int, tmp_path: Path):
    outcome = fuzz.attempt_file(seed, tmp_path)
    assert outcome.verdict == "ok", outcome.said
    assert re.search(r"(24|12) frames exact", outcome.said)


def test_random_files_have_every_operator_and_form(tmp_path: Path):
    drawn, forms = set(), set()
    for seed in range(2000, 2100):
        case = random_files.Random(seed).save(tmp_path)
        drawn |= {node.op_type for node in onnx.load(case.path).graph.node}
        forms |= set(case.forms)
    assert drawn - {"Constant"} == operators.NAMES
    assert {f"opset {version}" for version in (11, 13, 15, 17, 18, 19, 20, 21)} <= forms
    assert {
        "QCDQ",
        "one dimension",
        "column",
        "transposed",
        "vector",
        "names",
        "order",
        "any batch",
    } <= forms


def test_what_a_form_changes_is_told(tmp_path: Path):
    """The file on disk is what counts: other weights in it than the integers have are found."""
    case = random_files.Random(2004).save(tmp_path)
    network = meaning.integers(
        file.load(case.path, preprocess=case.preprocess, exits=case.exits, shape=case.shape)
    )
    images = np.random.default_rng(0).integers(0, 256, (2, *case.shape)).astype(np.uint8)
    assert against_qonnx.compare(case, network, images)[0] == ""
    model = onnx.load(case.path)
    weights = next(c for c in model.graph.initializer if len(c.dims) == 4)
    values = onnx.numpy_helper.to_array(weights)
    weights.CopyFrom(onnx.numpy_helper.from_array(-values, weights.name))
    onnx.save(model, case.path)
    assert "image 0: " in against_qonnx.compare(case, network, images)[0]


def test_a_run_goes_on_where_its_log_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    log = tmp_path / "log"
    done = [
        fuzz.Outcome(5, "ok", "one"),
        fuzz.Outcome(6, "refused", "f: Quant (node a) has 3 bits"),
    ]
    log.write_text("".join(json.dumps(asdict(o)) + "\n" for o in done))
    assert fuzz.logged(log) == done
    assert fuzz.main(["2", "--first", "5", "--workers", "1", "--log", str(log)]) == 0
    assert capsys.readouterr().out == "1 ok, 1 refused\n  1 refused: Quant has # bits\n"
    log.write_text(json.dumps(asdict(fuzz.Outcome(5, "cycles", "off"))) + "\n")
    assert fuzz.main(["1", "--first", "5", "--workers", "1", "--log", str(log)]) == 1


def test_a_fault_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("as in a fault")

    monkeypatch.setattr(fuzz, "_spread", broken)
    outcome = fuzz.attempt(9, tmp_path, simulated=False)
    assert outcome.fault
    assert "ZeroDivisionError: as in a fault" in outcome.said


def shifted(shift: float, path: Path) -> random_files.random_forms.Case:
    """Nine pixels plus a shift in steps of four: 90 is a tie between two levels."""
    b = random_activations.builder()((3, 3, 1))
    x = b.node("Conv", "image", b.integers([[[[1]]]], 2, scale=1.0), shape=(1, 1, 3, 3))
    x = b.quant(b.node("Add", x, b.constant(shift), shape=b.shapes[x]), 8, scale=4.0)
    weights = b.integers(np.eye(9, dtype=int), 2, scale=1.0)
    b.exit(b.node("MatMul", b.flatten(x), weights, shape=(1, 9)))
    return random_files.random_forms.Case(b.save(path), (3, 3, 1), None, (), False, ())


@pytest.mark.parametrize(("shift", "said"), [(1e-5, ""), (0.1, "image 0: exit0 is off by 1 steps")])
def test_levels_may_differ_at_ties_alone(shift: float, said: str, tmp_path: Path):
    """Of a file that is not quite the network one level differs: at a tie, or beside it."""
    images = np.array([100, 90, 4, 16, 32, 64, 120, 200, 40], np.uint8).reshape(1, 3, 3, 1)
    network = meaning.integers(file.load(shifted(0.0, tmp_path / "network.onnx").path))
    case = shifted(shift, tmp_path / "file.onnx")
    different, rounded = against_qonnx.compare(case, network, images)
    assert different.startswith(said)
    assert bool(different) == bool(said)
    assert rounded == (not said)
