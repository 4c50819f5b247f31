"""The compile step in a run folder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt import criteria, hold
from exeunt import manifest as manifests
from exeunt.config import tree as configuration
from exeunt.config.compile import Hold
from exeunt.errors import CheckFailed, InputError
from exeunt.hls import compile as compiler
from exeunt.qonnx import file, meaning, seen
from exeunt.rules import Modification, Rule, RuleSet, to_json

pytestmark = pytest.mark.usefixtures("finn")

STAGES = """
[[model.stages]]
blocks = [{ conv = 3, kernel = 3 }]
[[model.stages]]
blocks = [{ conv = 4, kernel = 3 }]
"""


def settings(**model: Any) -> configuration.Config:
    values = {"input": [6, 7, 1], "classes": 3, **model}
    lines = "\n".join(f"{k} = {json.dumps(v)}" for k, v in values.items())
    return configuration.parse(
        f'name = "tiny"\n[data]\ndataset = "digits"\n[model]\n{lines}\n{STAGES}'
        "[compile]\ntarget_cycles = 60\nheadroom = 1.5\n"
    )


@pytest.fixture(scope="module")
def model(two_exits: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_exits(tmp_path_factory.mktemp("tiny"), (6, 7, 1), 3, 4)


def run_folder(model: Path, folder: Path, **exits: Any) -> Path:
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.read_bytes())
    content = {"thresholds": [7, None], "reach": [1.0, 0.25], **exits}
    (folder / "exits.json").write_text(json.dumps(content))
    images = np.random.default_rng(0).integers(0, 256, (6, 6, 7, 1)).astype(np.uint8)
    names = np.array(["ant", "bee", "cat"])
    labels = {"validation_labels": np.arange(6) % 3, "classes": names}
    np.savez(folder / "splits.npz", validation_images=images, **labels)
    return folder


def test_rules_of_exits_json_are_built_in(model: Path, tmp_path: Path) -> None:
    found = RuleSet((6, 7, 1), (Rule((), Modification(dx=1)),))
    folder = run_folder(model, tmp_path / "run", rules=to_json(found))
    compiler.compile(settings(), folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["rules"]["set"] == to_json(found)
    assert "rtl/ex_rules.sv" in manifest["sources"]
    assert "rule_fired" in manifest["registers"]
    assert manifests.read(folder).accelerator().rules == found
    wrong = run_folder(model, tmp_path / "wrong", rules={**to_json(found), "shape": [7, 6, 1]})
    with pytest.raises(InputError, match="images must be 7x6x1 for these rules, got 6x7x1"):
        compiler.compile(settings(), wrong)


def test_the_step_writes_everything_and_the_same_twice(model: Path, tmp_path: Path) -> None:
    seen: list[str] = []

    def progress(done: int, total: int, text: str = "") -> None:
        assert 0 <= done <= total
        seen.append(text)

    promise = {"kind": "average", "permitted": 0.01, "holds": True, "certified": [[7]]}
    folders = [run_folder(model, tmp_path / name, guarantee=promise) for name in ("a", "b")]
    for folder in folders:
        compiler.compile(settings(), folder, progress=progress)
    assert seen[:5] == ["FINN", "seg0", "head0", "seg1", "head1"]
    report = json.loads((folders[0] / "report.json").read_text())["compile"]
    kernels = json.loads((folders[0] / "manifest.json").read_text())["kernels"]
    text, seconds, loading = re.fullmatch(
        r"(.*); (\d+\.\d) s, of which (\d+\.\d) s to load FINN", seen[-1]
    ).groups()
    assert text == (
        f"{len(kernels)} kernels, {report['multipliers']} multipliers; without exits "
        f"{report['baseline']['multipliers']} multipliers"
    )
    assert float(seconds) > float(loading) >= 0
    data = json.loads((folders[0] / "manifest.json").read_text())
    assert data["class_names"] == ["ant", "bee", "cat"]
    assert data["guarantee"] == promise
    first = {
        p.relative_to(folders[0]): p.read_bytes() for p in folders[0].rglob("*") if p.is_file()
    }
    for path, content in first.items():
        assert (folders[1] / path).read_bytes() == content, f"{path} differs"
    for name in (
        "rtl/exeunt_top.sv", "design.f", "manifest.json", "baseline/manifest.json",
        "report/auto_folding_config.json", "report/seg1/estimate_network_performance.json",
    ):  # fmt: skip
        assert Path(name) in first
    manifest = json.loads(first[Path("manifest.json")])
    assert manifest["exits"][0]["threshold"] == 7
    assert manifest["folding"]["seg1"]["target_cycles"] == 160
    for name, cycles in manifest["cycles"].items():
        assert cycles["interval"] == manifest["folding"][name]["cycles"]
    rungs = [path for path in first if path.match("baseline/ladder/*/manifest.json")]
    assert len(rungs) > 1
    for path in rungs:
        part = json.loads(first[path])["folding"]
        assert max(p["cycles"] for p in part.values()) == int(path.parent.name)
        assert set(part) == {"seg0", "head0"}
    report = json.loads(first[Path("report.json")])
    assert report["compile"]["baseline"]["multipliers"] <= report["compile"]["multipliers"]


@pytest.mark.parametrize(
    ("model_section", "sentence"),
    [
        (
            {"input": [7, 6, 1]},
            "FILE: the network takes images of (6, 7, 1) (H, W, C) but the configuration says "
            "(7, 6, 1); change model.input or the file",
        ),
        (
            {"classes": 4},
            "FILE: exit 0 has 3 logits but the configuration says 4 classes; "
            "change model.classes or the file",
        ),
    ],
)
def test_a_file_of_another_network(
    model_section: dict[str, Any], sentence: str, model: Path
) -> None:
    with pytest.raises(InputError) as error:
        compiler.read_network(model, config=settings(**model_section))
    assert str(error.value).replace(str(model), "FILE") == sentence


def test_check_images_of_another_shape(model: Path) -> None:
    with pytest.raises(InputError) as error:
        compiler.read_network(model, config=settings(), images=np.zeros((2, 8, 8, 1), np.uint8))
    assert str(error.value).replace(str(model), "FILE") == (
        "FILE: the network takes images of (6, 7, 1) (H, W, C) but the check images are "
        "(8, 8, 1); use the data it was trained on"
    )


def test_exits_that_are_no_json(model: Path, tmp_path: Path) -> None:
    folder = run_folder(model, tmp_path / "run")
    (folder / "exits.json").write_text("{")
    with pytest.raises(InputError) as error:
        compiler.compile(settings(), folder)
    assert str(error.value).startswith(f"{folder / 'exits.json'} must be JSON but is not (")
    assert str(error.value).endswith("; calibrate again")


@pytest.mark.parametrize("name", ["softmax", criteria.names()[-1]])
def test_the_exits_go_by_what_they_were_calibrated_for(
    name: str, model: Path, tmp_path: Path
) -> None:
    folder = run_folder(model, tmp_path / "run", criterion=name)
    compiler.compile(settings(), folder)
    data = json.loads((folder / "manifest.json").read_text())
    assert [e["criterion"] for e in data["exits"]] == [name, name]
    assert data["graph"]["criterion"] == name
    assert f"rtl/ex_{name}.sv" in data["sources"]
    if name == "softmax":
        assert {"rtl/score0_table.hex", "rtl/score1_table.hex"} <= set(data["files"])


def test_exits_calibrated_for_an_unknown_criterion(model: Path, tmp_path: Path) -> None:
    folder = run_folder(model, tmp_path / "run", criterion="majority")
    with pytest.raises(InputError, match=r"got 'majority': change calibrate.criterion and"):
        compiler.compile(settings(), folder)


def test_the_compiled_network_gives_what_calibration_saw(model: Path, tmp_path: Path) -> None:
    folder = run_folder(model, tmp_path / "run")
    images = np.random.default_rng(1).integers(0, 256, (5, 6, 7, 1)).astype(np.uint8)
    logits = meaning.integers(file.load(model)).logits(images)
    seen.write(folder / seen.NAME, images, logits, np.arange(3, 8))
    compiler.compile(settings(), folder)
    right = int(logits[1][2, 1])
    logits[1][2, 1] += 1
    seen.write(folder / seen.NAME, images, logits, np.arange(3, 8))
    with pytest.raises(CheckFailed) as error:
        compiler.compile(settings(), folder)
    assert str(error.value) == (
        "exit 1 of the compiled network must give the logits that calibration saw, got "
        f"{right} for class 1 of validation image 5 where it saw {right + 1}: calibrate the "
        "network that is in model.onnx"
    )
    seen.write(folder / seen.NAME, images, logits[:1], np.arange(3, 8))
    with pytest.raises(CheckFailed) as error:
        compiler.compile(settings(), folder)
    assert str(error.value) == (
        "the compiled network must have the 1 exits that were calibrated, got 2: calibrate again"
    )
    (folder / seen.NAME).write_bytes(b"nothing")
    with pytest.raises(InputError) as error:
        compiler.compile(settings(), folder)
    assert str(error.value) == (
        f"{folder / seen.NAME} must hold the logits that calibration saw, got something else: do "
        "`exeunt calibrate` again"
    )


def test_reach_of_another_network(model: Path, tmp_path: Path) -> None:
    folder = run_folder(model, tmp_path / "run", reach=[1.0, 0.5, 0.2])
    with pytest.raises(InputError) as error:
        compiler.compile(settings(), folder)
    assert str(error.value) == (
        "reach must have one fraction for each of 2 exits but has 3; calibrate again"
    )


def test_importing_the_step_does_not_import_finn() -> None:
    import subprocess
    import sys

    code = (
        "import sys, exeunt.hls.compile, exeunt.hls.back.folding, exeunt.hls.back.lower;"
        "print([m for m in ('finn', 'qonnx', 'onnx', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_thresholds_can_follow_the_rates_of_the_validation_images(
    model: Path, tmp_path: Path
) -> None:
    found = settings()
    section = found.compile.model_copy(update={"hold": Hold(window=64)})
    config = found.model_copy(update={"compile": section})
    folder = run_folder(model, tmp_path / "run", reach=[1.0, 0.25])
    compiler.compile(config, folder)
    manifest = manifests.read(folder)
    bits = manifest.data["hold"]["bits"]
    assert manifest.hold == hold.Asked((0.75,), 64, 0.05, 0.125, 1.0).of([7], bits)
    assert manifest.hold.bands == (hold.Band(13, 19, 1, -7, 7),)
    assert "rtl/ex_hold.sv" in manifest.data["sources"]
    assert "hold_offset" in manifest.data["registers"]
    plain = run_folder(model, tmp_path / "plain")
    compiler.compile(found, plain)
    assert manifests.read(plain).hold is None
    assert "rtl/ex_hold.sv" not in manifests.read(plain).data["sources"]
    unknown = run_folder(model, tmp_path / "unknown", reach=None)
    with pytest.raises(InputError) as told:
        compiler.compile(config, unknown)
    assert str(told.value) == (
        "compile.hold must know which part of the validation images gets to each exit, and "
        "exits.json does not say: calibrate first, or leave it out"
    )
