"""What is told when a block is broken: the smallest failing corner, and how to see its waves."""

import re
import shutil
from pathlib import Path

import pytest
from fork.corners import CORNERS as FORKS
from lib import bench, choice
from width.corners import CORNERS as WIDTHS

BACKWARDS = ("{s_data, part_q} >> IN_WIDTH", "{s_data, part_q} << IN_WIDTH")


def broken(monkeypatch: pytest.MonkeyPatch, folder: Path, file: str, old: str, new: str) -> None:
    """From now on benches are built from a copy of the RTL with a fault in it."""
    shutil.copytree(bench.RTL, folder / "rtl")
    path = folder / "rtl" / file
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))
    monkeypatch.setattr(bench, "RTL", folder / "rtl")
    monkeypatch.setattr(bench, "BUILD", folder / "build")
    monkeypatch.delenv("WAVES", raising=False)
    monkeypatch.chdir(bench.ROOT)


@pytest.mark.sim
def test_the_smallest_failing_corner_is_told_first(tmp_path, monkeypatch):
    broken(monkeypatch, tmp_path, "ex_width.sv", *BACKWARDS)
    monkeypatch.setenv("CORNERS", "fast")
    ran = choice.fast(sorted(WIDTHS, key=choice.size))
    wider = [c for c in ran if c.parameters["OUT_WIDTH"] > c.parameters["IN_WIDTH"]]
    assert wider[0] is not ran[0]
    with pytest.raises(AssertionError) as caught:
        bench.check_stream_block("width", WIDTHS)
    said = str(caught.value).splitlines()
    name = wider[0].name
    values = " ".join(f"{k}={v}" for k, v in wider[0].parameters.items())
    place = r"frame \d+ word \d+ at cycle \d+: got \[[\d, ]+\], expected \[[\d, ]+\]"
    assert re.fullmatch(
        re.escape(f"width: unstalled: {name} (ex_width {values}): ") + place, said[0]
    )
    assert said[1].startswith(f"{name} is the smallest corner that fails; it fails in unstalled, ")
    others = len(wider) - 1
    assert said[2] == f"{others} of the other {len(ran) - 1} corners fail too"
    waves = tmp_path / "build" / f"width_{name}" / "dump.vcd"
    test = "rtl_tests/test_broken_block.py::test_the_smallest_failing_corner_is_told_first"
    assert said[3].startswith(f"its waves, in {waves}: WAVES=1 CORNERS={name} ")
    assert said[3].endswith(f" -m pytest {test}")
    assert len(said) == 4

    monkeypatch.setenv("WAVES", "1")
    monkeypatch.setenv("CORNERS", name)
    with pytest.raises(AssertionError) as again:
        bench.check_stream_block("width", WIDTHS)
    assert str(again.value).splitlines()[0] == said[0]
    assert "s_data" in waves.read_text()


@pytest.mark.sim
def test_a_block_with_a_bench_of_its_own_tells_it_too(tmp_path, monkeypatch):
    fault = ("m1_valid = s_valid && !done1_q", "m1_valid = s_valid")
    broken(monkeypatch, tmp_path, "ex_fork.sv", *fault)
    with pytest.raises(AssertionError, match=r"^fork: .*width1.*got") as caught:
        bench.run_bench("fork", FORKS, "fork.fork_cocotb")
    assert "width1 is the smallest corner that fails" in str(caught.value)
    assert "WAVES=1 CORNERS=width1 " in str(caught.value)


def test_a_failure_of_no_corner_alone_has_waves_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = choice.digest("core", [("order", "id 3 came twice\nat cycle 9")], FORKS, tmp_path)
    first, second, third = said.splitlines()
    assert (first, second) == ("core.order: id 3 came twice", "at cycle 9")
    test = "rtl_tests/test_broken_block.py::test_a_failure_of_no_corner_alone_has_waves_too"
    assert third.startswith("the waves, in core/dump.vcd: WAVES=1 ")
    assert third.endswith(f" -m pytest {test}")


def test_corners_run_smallest_first_and_some_are_fast(monkeypatch):
    monkeypatch.setenv("CORNERS", "")
    block, every = choice.chosen("width", WIDTHS)
    assert block == "width"
    sizes = [choice.size(c) for c in every]
    assert sizes == sorted(sizes)
    assert len(every) == len(WIDTHS)
    monkeypatch.setenv("CORNERS", "fast")
    block, some = choice.chosen("width", WIDTHS)
    assert block == "width_fast"
    assert some[0] is every[0]
    assert len(some) <= choice.FAST < len(every)
    assert choice.chosen("fork", FORKS) == ("fork", FORKS)


def test_a_corner_that_a_block_does_not_have(monkeypatch):
    monkeypatch.setenv("CORNERS", "width1,width2")
    sentence = (
        "CORNERS must be all, fast or names of corners of fork, got 'width2': "
        "take some of width1, width8, width37"
    )
    with pytest.raises(AssertionError, match=f"^{re.escape(sentence)}$"):
        choice.chosen("fork", FORKS)
