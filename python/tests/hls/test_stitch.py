"""The stitcher: what it writes, and that it writes it twice alike."""

import dataclasses
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from exeunt import manifest, registers, samples
from exeunt.errors import InputError
from exeunt.hls.back import stitch, stitch_chain
from exeunt.hold import Asked
from exeunt.simulate import verilator


def _contents(folder: Path) -> dict[str, bytes]:
    files = [p for p in folder.rglob("*") if p.is_file()]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def test_repeats_byte_for_byte(tmp_path: Path) -> None:
    for name in ("a", "b"):
        stitch.write(samples.accelerator(sized=False), tmp_path / name, thresholds=[9, 5, None])
    assert _contents(tmp_path / "a") == _contents(tmp_path / "b")


def test_replaces_what_was_there(tmp_path: Path) -> None:
    stitch.write(samples.accelerator(sized=False), tmp_path)
    stitch.write(samples.pooling(), tmp_path)
    names = {p.name for p in (tmp_path / "rtl").iterdir()}
    assert "ex_mvu.sv" not in names
    assert not [n for n in names if n.endswith(".hex")]
    assert not list(tmp_path.glob(".rtl*"))


def test_files_are_listed_and_ascii(tmp_path: Path) -> None:
    found = stitch.write(samples.accelerator(sized=False), tmp_path)
    on_disk = {f"rtl/{p.name}" for p in (tmp_path / "rtl").iterdir()} | {"design.f"}
    assert on_disk == set(found.data["files"])
    design = (tmp_path / "design.f").read_text().splitlines()
    assert design[0].startswith("// Generated")
    assert design[2:] == list(found.data["sources"])
    for name in found.data["sources"]:
        text = (tmp_path / name).read_bytes().decode("ascii")
        if Path(name).name.startswith(("seg", "head", "exeunt")):
            assert text.startswith("// Generated")


def test_only_blocks_in_use_are_copied(tmp_path: Path) -> None:
    stitch.write(samples.pooling(), tmp_path)
    names = {p.name for p in (tmp_path / "rtl").glob("ex_*.sv")}
    assert {"ex_pool.sv", "ex_reduce.sv", "ex_fifo.sv", "ex_merge.sv"} <= names
    assert not names & {"ex_mvu.sv", "ex_swg.sv", "ex_threshold.sv"}


def test_blocks_come_after_those_they_use(tmp_path: Path) -> None:
    (tmp_path / "ex_a.sv").write_text("module ex_a; ex_b u_b(); endmodule // ex_d\n")
    (tmp_path / "ex_b.sv").write_text('`include "ex_c.svh"\nmodule ex_b; endmodule\n')
    (tmp_path / "ex_c.svh").write_text("")
    (tmp_path / "ex_d.sv").write_text("module ex_d; endmodule\n")
    found = stitch.needed_blocks(["ex_a u_a();"], blocks=tmp_path)
    assert found == ("ex_c.svh", "ex_b.sv", "ex_a.sv")


def test_thresholds_reach_the_manifest(tmp_path: Path) -> None:
    found = stitch.write(samples.pooling(), tmp_path, thresholds=[7, registers.NEVER, 3])
    assert found.thresholds == (7, registers.NEVER, registers.ALWAYS)
    assert stitch.write(samples.pooling(), tmp_path).thresholds[:2] == (registers.NEVER,) * 2


def test_design_hash_follows_the_design(tmp_path: Path) -> None:
    a = stitch.write(samples.pooling(), tmp_path / "a")
    b = stitch.write(samples.pooling(), tmp_path / "b", buffer_frames=2)
    word = a.data["design_hash"]
    assert word != b.data["design_hash"]
    assert f"32'd{word}" in (tmp_path / "a" / "rtl" / "exeunt_core.sv").read_text()


def test_refuses_wrong_number_of_thresholds(tmp_path: Path) -> None:
    sentence = "thresholds must have one entry for each of 3 exits, got 1; calibrate again"
    with pytest.raises(InputError, match="^" + re.escape(sentence) + "$"):
        stitch.write(samples.pooling(), tmp_path, thresholds=[1])


def test_refuses_chain_without_depths(tmp_path: Path) -> None:
    whole = samples.pooling()
    bare = dataclasses.replace(whole.segments[1], fifos=())
    broken = dataclasses.replace(whole, segments=(whole.segments[0], bare, whole.segments[2]))
    sentence = (
        "seg1 must have a FIFO depth for each of its 1 streams, got 0; size it with "
        "exeunt.reference.pipeline.with_depths"
    )
    with pytest.raises(InputError, match="^" + re.escape(sentence) + "$"):
        stitch.write(broken, tmp_path)


def test_taps_are_numbered_in_pipeline_order() -> None:
    names = [t.name for t in stitch_chain.taps(samples.pooling())]
    assert names[:4] == ["seg0.input", "seg0_pool0", "head0.input", "head0_reduce0"]
    assert [t.index for t in stitch_chain.taps(samples.pooling())] == list(range(12))


@pytest.mark.sim
@pytest.mark.parametrize("define", [[], ["-DEX_TAPS=1", "-DEX_BULK=1"]], ids=["plain", "bulk"])
@pytest.mark.parametrize("holds", [None, Asked((0.5, 0.5), 16, 0.1, 0.1, 1.0)], ids=["", "holds"])
def test_lint_is_silent(tmp_path: Path, define: list[str], holds: Asked | None) -> None:
    found = stitch.write(
        samples.accelerator(sized=False), tmp_path, thresholds=[9, 5, None], holds=holds
    )
    tool = verilator.find()
    done = subprocess.run(
        [tool.program, "--lint-only", "-Wall", "-Wno-PINCONNECTEMPTY", "-Wno-DECLFILENAME",
         *define, "--top-module", found.data["top"], *found.sources],
        cwd=tmp_path / "rtl", capture_output=True, text=True, check=False,
        env={"VERILATOR_ROOT": str(tool.root)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_manifest_of_two_folders_is_the_same(tmp_path: Path) -> None:
    a = stitch.write(samples.pooling(), tmp_path / "a")
    b = stitch.write(samples.pooling(), tmp_path / "b")
    assert a.hash == b.hash == manifest.read(tmp_path / "a").hash


def test_kernels_tell_of_their_zeros(tmp_path: Path) -> None:
    accelerator = samples.accelerator(sized=False)
    found = stitch.write(accelerator, tmp_path)
    kernels = {k["node"]: k for k in found.data["kernels"]}
    for chain in accelerator.chains:
        for node in chain.nodes:
            if node.kind == "mvu":
                weights = accelerator.of(node)["weights"]
                assert kernels[node.name]["sparsity"]["nonzero"] == np.count_nonzero(weights)
            else:
                assert "sparsity" not in kernels[node.name]
