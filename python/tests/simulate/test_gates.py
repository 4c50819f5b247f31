"""Parts of a design that sleep are not evaluated, and nobody can tell from the results."""

import os
from pathlib import Path

import numpy as np
import pytest

from exeunt import manifest, packing, registers
from exeunt.manifest import Manifest
from exeunt.simulate import bulk, gates, library, verilator

FRAMES = 40


@pytest.fixture(scope="module")
def design(compiled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Path]:
    found = manifest.read(compiled)
    return found, verilator.build(found, cache=tmp_path_factory.mktemp("gates"))


def run(
    design: tuple[Manifest, Path],
    *,
    idle: float,
    stall: float,
    order: int = registers.ORDER_ARRIVAL,
    raw: int | None = None,
    **how: bool,
) -> library.Trace:
    """What comes of the first images, or the raw logits of an exit; the model is told `how`."""
    found, model = design
    with np.load(found.folder / "splits.npz") as splits:
        images = splits["test_images"][:FRAMES]
    stream = bulk.input_stream(found)
    words = packing.pack(stream, images.reshape(-1, *stream.shape))
    here = Path.cwd()
    os.chdir(found.folder / "rtl")  # its memory files
    try:
        with library.Model(model, **how) as opened:
            assert opened.direct == (not how.get("plain", False))
            opened.reset()
            writes = bulk.writes(found, order=order)
            if raw is not None:
                writes.insert(0, (registers.address("raw"), 1 << 31 | raw))
            for address, value in writes:
                opened.write(address, value)
            opened.settle()
            beats = FRAMES * (1 if raw is None else -(-found.data["classes"] // 4))
            exits = len(found.data["exits"])
            return opened.run(
                words, frames=beats, exits=exits, limit=10**6, idle=idle, stall=stall, seed=4
            )
    finally:
        os.chdir(here)


@pytest.mark.sim
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.9, 0.0), (0.0, 0.97), (0.5, 0.5)])
@pytest.mark.parametrize("mode", [{}, {"order": registers.ORDER_INPUT}, {"raw": 1}, {"raw": 2}])
@pytest.mark.parametrize("how", [{"awake": True}, {"plain": True}])
def test_sleep_changes_no_answer_and_no_cycle(
    design: tuple[Manifest, Path],
    how: dict[str, bool],
    mode: dict[str, int],
    idle: float,
    stall: float,
) -> None:
    asleep = run(design, idle=idle, stall=stall, **mode)
    other = run(design, idle=idle, stall=stall, **mode, **how)
    assert asleep.complete
    assert asleep.cycles == other.cycles
    for name in ("results", "result_cycles", "accepts"):
        np.testing.assert_array_equal(getattr(asleep, name), getattr(other, name), err_msg=name)
    for exit_index, (got, want) in enumerate(zip(asleep.decides, other.decides, strict=True)):
        np.testing.assert_array_equal(got, want, err_msg=f"decisions at exit {exit_index}")


ROOT = """
        CData/*0:0*/ top__DOT__core_rst;
        CData/*0:0*/ top__DOT__u_a_gate__DOT__tick;
        CData/*0:0*/ top__DOT__u_a_gate__DOT__want;
        CData/*0:0*/ __VicoFirstIteration;
        VlUnpacked<QData/*63:0*/, 2> __VnbaTriggered;
"""
CODE = """
bool V___024root___eval_phase__ico(V___024root* vlSelf) {
void V___024root___eval_triggers_vec__act(V___024root* vlSelf) {
void V___024root___eval_nba(V___024root* vlSelf) {
"""


@pytest.mark.parametrize(
    ("root", "code", "bulk_mode", "direct"),
    [
        (ROOT, CODE, 1, 1),
        (ROOT, CODE.replace("eval_nba", "eval_all"), 1, 0),
        (ROOT, CODE + "V___024root___eval_act(vlSelf);\n", 1, 0),
        (ROOT.replace("__VicoFirstIteration", "__VicoFirst"), CODE, 1, 0),
        (ROOT.replace("__DOT__tick", "__DOT__other"), CODE, 0, 0),
        (ROOT.replace("core_rst", "reset"), CODE, 0, 0),
    ],
)
def test_another_verilator_is_used_in_its_own_way(
    root: str, code: str, bulk_mode: int, direct: int, tmp_path: Path
) -> None:
    """Edges are made directly only where all that this needs is there."""
    (tmp_path / "V___024root.h").write_text(root)
    (tmp_path / "V___024root__0.cpp").write_text(code)
    text = gates.header(tmp_path, prefix="V", top="top")
    assert f"#define EX_BULK {bulk_mode}\n#define EX_DIRECT {direct}\n" in text
    assert "#define EX_WORDS 2\n" in text
    assert ("G(0, top__DOT__u_a_gate__DOT__tick, top__DOT__u_a_gate__DOT__want)" in text) == (
        "tick" in root
    )
