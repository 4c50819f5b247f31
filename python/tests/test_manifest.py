"""The manifest: what it records, and what it refuses."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from exeunt import manifest, samples
from exeunt.errors import InputError
from exeunt.hls.back import stitch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    stitch.write(samples.pooling(), tmp_path, thresholds=[2500, 900, None])
    return tmp_path


def test_reads_what_was_written(folder: Path) -> None:
    found = manifest.read(folder)
    assert found.thresholds == (2500, 900, -(1 << 31))
    assert found.data["input"] == {
        "shape": [16, 16, 4], "bits": 8, "signed": False, "lanes": 2, "words": 512, "width": 16,
    }  # fmt: skip
    assert [k["node"] for k in found.data["kernels"]] == [
        "seg0_pool0", "head0_reduce0", "seg1_pool0", "head1_reduce0", "seg2_pool0", "head2_reduce0",
    ]  # fmt: skip
    assert found.data["registers"]["threshold"]["address"] % 4 == 0
    assert found.data["cycles"]["seg0"]["interval"] == 512
    assert found.hash == manifest.content_hash(found.data)
    assert all(path.is_file() for path in found.sources)


def test_accelerator_comes_back(tmp_path: Path) -> None:
    stitch.write(samples.accelerator(sized=False), tmp_path)
    found = manifest.read(tmp_path).accelerator()
    want = samples.accelerator(sized=False)
    assert (found.segments, found.heads) == (want.segments, want.heads)
    assert sorted(found.arrays) == sorted(want.arrays)
    for name, array in want.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)


def _refused(folder: Path, sentence: str) -> None:
    with pytest.raises(InputError, match="^" + re.escape(sentence) + "$"):
        manifest.read(folder)


def test_refuses_rtl_changed_by_hand(folder: Path) -> None:
    path = folder / "rtl" / "seg1.sv"
    recorded = manifest.file_hash(path)[:12]
    path.write_text(path.read_text() + "// mine\n")
    seen = manifest.file_hash(path)[:12]
    _refused(
        folder,
        f"{path} must have the sha256 {recorded} that manifest.json recorded and has {seen}, so it "
        "was changed by hand; run `exeunt compile` again.",
    )


def test_refuses_missing_rtl(folder: Path) -> None:
    path = folder / "rtl" / "ex_fork.sv"
    path.unlink()
    _refused(
        folder,
        f"{path} must exist because manifest.json lists it and is missing; run `exeunt compile` "
        "again.",
    )


def test_refuses_manifest_changed_by_hand(folder: Path) -> None:
    path = folder / "manifest.json"
    data = json.loads(path.read_text())
    data["exits"][0]["threshold"] = 1
    path.write_text(json.dumps(data))
    _refused(
        folder,
        f"{path} must hash to its own field {data['hash'][:12]} and hashes to "
        f"{manifest.content_hash(data)[:12]}, so it was changed by hand; run `exeunt compile` "
        "again.",
    )


def test_refuses_no_manifest(tmp_path: Path) -> None:
    _refused(
        tmp_path, f"{tmp_path} must hold a manifest.json and has none; run `exeunt compile` first."
    )


@pytest.mark.parametrize("text", ["{", "\udcff"])
def test_refuses_no_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    _refused(
        tmp_path,
        f"{path} must be a JSON file and cannot be read as one; run `exeunt compile` again.",
    )


@pytest.mark.parametrize(("text", "seen"), [('{"schema": 9}', "9"), ("[]", "list")])
def test_refuses_other_schema(tmp_path: Path, text: str, seen: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)
    _refused(tmp_path, f"{path} must have schema 1 and has {seen}; run `exeunt compile` again.")
