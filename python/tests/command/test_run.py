"""The pipeline: what runs again and what does not, who owns the folder, what a crash leaves."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from exeunt.command import run
from exeunt.config import tree
from exeunt.errors import CheckFailed, InputError
from exeunt.report import store

ALL = [step.name for step in run.STEPS if step.always and not step.when]
DIGITS = tree.to_toml(tree.load("digits"))


def test_second_run_does_nothing(world):
    assert world.run() == ALL
    assert world.run() == []
    assert (world.folder / "report.html").exists()
    assert store.read(world.folder)["config_hash"] == tree.hash_of(tree.load("digits"))
    assert tree.load(world.folder / "config.toml") == tree.load("digits")


@pytest.mark.parametrize(
    ("old", "new", "first"),
    [
        ("epochs = ", "epochs = 1", "train"),
        ("drop = 0.0", "drop = 0.1", "calibrate"),
        ("target_cycles = 288", "target_cycles = 300", "compile"),
        ("images = 0", "images = 5", "simulate"),
    ],
)
def test_only_what_depends_on_a_change_runs_again(world, old, new, first):
    world.run()
    assert old in DIGITS
    world.texts = {name: "new " + name for name in ALL}  # each changes its outputs
    did = world.run(DIGITS.replace(old, new, 1))
    assert did[0] == first
    expected = ALL[ALL.index(first) :]
    if first == "calibrate":
        expected.remove("export")  # reads the checkpoint alone
    assert did == expected


def test_step_that_gives_the_same_again_ends_it(world):
    world.run()
    assert world.run(DIGITS.replace("epochs = ", "epochs = 1", 1)) == ["train"]


def test_compression_comes_and_goes_with_its_section(world):
    section = 'images = 9\npasses = [{ kind = "filters" }]\n'
    compressed = f"{DIGITS}\n[compress]\n{section}"
    world.run()
    assert world.run(compressed) == ["compress"]
    assert world.run(compressed) == []
    (world.folder / "compressed.pt").write_text("weights")
    state = run.State(world.folder)
    state.end(run.STEPS[run.NAMES.index("compress")], state.steps["compress"]["inputs"], 1.0)
    assert world.run(compressed) == ["calibrate", "export"]
    assert world.run() == ["calibrate", "export"]
    assert not (world.folder / "compressed.pt").exists()


@pytest.mark.parametrize("how", ["run", "calibrate"])
def test_what_rules_said_goes_with_their_section(world, how):
    plain = DIGITS.replace("shift = 1\nguarantee", "shift = 0\nguarantee")
    ruled = f"{plain}\n[rules]\n"
    world.run(ruled)
    run.run_step("against", world.context(ruled))
    told = {key: {} for key in ("learned", "why", "calibrated", "compared")}
    store.update(world.folder, {"rules": told})
    assert world.run(ruled) == []
    assert store.read(world.folder)["rules"] == told
    (world.folder / "rules.json").write_text("rules")
    if how == "run":
        world.run(plain)
        assert not (world.folder / "rules.json").exists()
    else:
        run.run_step("calibrate", world.context(plain))
        assert (world.folder / "rules.json").exists()  # it took minutes to learn them
    assert not store.read(world.folder).get("rules")
    assert world.run(ruled)[0] == "rules"


def test_missing_output_is_made_again(world):
    world.run()
    (world.folder / "model.onnx").unlink()
    assert world.run() == ["export"]


def test_figures_that_were_deleted_are_made_again(world):
    """A step that wrote figures is not done when none of them is left."""
    world.run()
    (world.folder / store.JSON).unlink()
    assert world.run() == ["simulate"]  # the only one of these steps that reports
    assert store.read(world.folder)["simulation"] == {"by": "simulate"}
    store.update(world.folder, {"hardware": {"clock_mhz": 100}})
    assert world.run() == []


def test_what_a_later_step_said_of_an_exit_stays_when_nothing_has_changed(world, monkeypatch):
    def call(step, context):
        world.call(step, context)
        if step.name == "calibrate":
            store.update(context.run_dir, {"exits": [{"rate": 0.5}, {"rate": world.rate}]})
        if step.name == "simulate":
            rows = store.read(context.run_dir)["exits"]
            rows = [{**row, "latency_cycles": k} for k, row in enumerate(rows)]
            store.update(context.run_dir, {"exits": rows})

    monkeypatch.setattr(run.Step, "__call__", lambda step, context: call(step, context))
    world.rate = 0.5
    world.run()
    before = store.read(world.folder)["exits"]
    assert before[1] == {"rate": 0.5, "latency_cycles": 1}
    (world.folder / "exits.json").unlink()
    assert world.run() == ["calibrate"]
    assert store.read(world.folder)["exits"] == before
    world.texts["compile"] = "another design"
    run.run_step("compile", world.context())
    assert store.read(world.folder)["exits"] == [{"rate": 0.5}] * 2
    world.rate, world.texts["calibrate"] = 0.25, "others"
    (world.folder / "exits.json").unlink()
    assert world.run() == ["calibrate", "compile", "simulate"]
    assert [row["rate"] for row in store.read(world.folder)["exits"]] == [0.5, 0.25]


def test_output_changed_by_hand_is_refused_and_kept(world):
    world.run()
    (world.folder / "rtl" / "a.sv").write_text("mine")
    sentence = r"rtl must be as `exeunt compile` wrote it, got other contents: put it back, or make"
    with pytest.raises(InputError, match=sentence):
        world.run()
    assert (world.folder / "rtl" / "a.sv").read_text() == "mine"


def test_interrupted_run_goes_on(world):
    world.fails["export"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        world.run()
    told = []
    world.did = []
    run.run_all(world.context(), announce=lambda step, what: told.append((step.name, what)) or _bar)
    assert world.did == ["export", "compile", "simulate"]
    assert told[:3] == [("train", "skip"), ("calibrate", "skip"), ("export", "again")]


def _bar(done, total, text=""):
    pass


def test_half_written_step_is_not_built_upon(world):
    world.fails["export"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        world.run()
    assert (world.folder / "model.onnx").exists()
    sentence = (
        r"must have a finished `exeunt export`, got one that was interrupted: "
        r"do `exeunt export` again$"
    )
    with pytest.raises(InputError, match=sentence):
        run.run_step("compile", world.context())


def test_absent_input_names_the_step_that_makes_it(world):
    sentence = r"`exeunt compile` must find model.onnx in .*, got no such file: do `exeunt export`"
    with pytest.raises(InputError, match=sentence):
        run.run_step("compile", world.context())


def test_checkpoint_from_another_config(world):
    world.run()
    sentence = (
        r"checkpoint.pt in .* must come from this config, got one made with another: "
        r"do `exeunt train` again or choose another --out$"
    )
    with pytest.raises(InputError, match=sentence):
        run.run_step("export", world.context(DIGITS.replace("epochs = ", "epochs = 1", 1)))


def test_single_step_runs_even_when_done_and_clears_what_is_no_longer_true(world):
    world.run()
    assert store.read(world.folder)["simulation"] == {"by": "simulate"}
    world.did = []
    run.run_step("compile", world.context())
    assert world.did == ["compile"]
    assert "simulation" in store.read(world.folder), "same RTL, so still true"
    world.texts["compile"] = "other"
    run.run_step("compile", world.context())
    assert "simulation" not in store.read(world.folder)
    assert world.run() == ["simulate"]


def test_closer_look_leaves_the_results(world, monkeypatch):
    world.run()
    before = (world.folder / run.STATE).read_text()
    monkeypatch.setattr(run.Step, "__call__", lambda step, context: world.did.append("look"))
    context = dataclasses.replace(world.context(), options={"waves": "vcd", "frame": None})
    run.run_step("simulate", context)
    assert world.did[-1] == "look"
    assert (world.folder / run.STATE).read_text() == before
    assert "simulation" in store.read(world.folder)


def test_failed_check_still_gives_the_report(world):
    world.fails["simulate"] = CheckFailed("3 answers differ")
    with pytest.raises(CheckFailed, match="3 answers differ"):
        world.run()
    assert (world.folder / "report.html").exists()
    assert world.run() == ["simulate"]


def test_baseline_of_another_config_does_not_stay(world):
    world.run()
    (world.folder / "baseline").mkdir()
    (world.folder / "baseline" / "x").write_text("old")
    run.run_step("compile", world.context())
    assert not (world.folder / "baseline").exists()


@contextmanager
def in_use(folder, works=""):
    """Another process that owns the folder, and its id."""
    code = (
        "import sys,pathlib\nfrom exeunt.command import run\n"
        "with run.locked(pathlib.Path(sys.argv[1])) as owner:\n"
        f"    owner{works or '.handle'}\n    print('mine', flush=True)\n    sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline() == b"mine\n"
        yield other.pid
    finally:
        other.communicate()


@pytest.mark.parametrize(
    ("works", "owner"),
    [
        ("", "process {}"),
        (".works('synth', seconds=290)", "`exeunt synth` (process {}, 0 min so far, about 5 "
         "minutes to go)"),
        (".works('synth', seconds=-1)", "`exeunt synth` (process {}, 0 min so far, longer than "
         "expected)"),
        (".works('run', at='train')", "`exeunt run` (process {}, at train, 0 min so far)"),
        (".handle.write('x' * 9) and owner.handle.flush()", "another process"),
    ],
)  # fmt: skip
def test_folder_in_use(world, works, owner):
    with in_use(world.folder, works) as process:
        with pytest.raises(InputError) as error:
            world.run()
        told = owner.format(process)
        assert str(error.value) == (
            f"run folder {world.folder} must be free, got one in use by {told}: wait for it or "
            "choose another --out; `exeunt report` works meanwhile"
        )
        with run.shared(world.folder) as busy:
            assert busy == told
    assert world.run() == ALL
    with run.shared(world.folder) as busy:
        assert busy == ""


def test_a_step_says_what_it_works_at_and_for_how_long(world, monkeypatch):
    world.run()
    told, work = [], world.call

    def call(step, context):
        told.append(json.loads((context.run_dir / run.LOCK).read_text()))
        work(step, context)

    def announce(step, what):
        told.append(f"{step.title}: {what}")
        return _bar

    monkeypatch.setattr(world, "call", call)
    monkeypatch.setattr(run.Step, "expected", lambda step, context: 400.0)
    run.run_step("synth", world.context(), announce=announce)
    started, owner, ended = told
    assert started == "Count LUT, FF, DSP and BRAM with Yosys, about 7 minutes: start"
    assert (owner["command"], owner["seconds"], owner["process"]) == ("synth", 400.0, os.getpid())
    assert ended == "Count LUT, FF, DSP and BRAM with Yosys: done"


def test_lock_of_a_dead_process_is_no_lock(world):
    world.folder.mkdir()
    (world.folder / run.LOCK).write_text("999999")
    assert world.run() == ALL


def test_foreign_folder(world):
    world.folder.mkdir()
    (world.folder / "thesis.tex").write_text("x")
    sentence = r"must be empty or made by exeunt, got one with 'thesis.tex' in it: choose another"
    with pytest.raises(InputError, match=sentence):
        world.run()
    assert [p.name for p in world.folder.iterdir()] == ["thesis.tex"]


def test_run_folder_that_is_a_file(world):
    world.folder.write_text("x")
    sentence = f"must be a folder, got the file {world.folder}: choose another --out"
    with pytest.raises(InputError, match=re.escape(sentence)):
        world.run()


def test_run_folder_in_what_is_a_file(world):
    file = world.folder.parent / "build"
    file.write_text("x")
    world.folder = file / "digits"
    sentence = f"run folder {world.folder} must be a folder, got the file {file}: choose another"
    with pytest.raises(InputError, match=re.escape(sentence)):
        world.run()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_may_not_be_written(world):
    world.folder.mkdir()
    world.folder.chmod(0o500)
    with pytest.raises(InputError, match=r"must be writable, got permission denied: choose"):
        world.run()


def test_folder_on_a_disk_that_cannot_be_written(world, monkeypatch):
    def mkdir(*arguments, **more):
        raise OSError(30, "Read-only file system", "build")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    sentence = r"must be writable, got read-only file system: choose another --out$"
    with pytest.raises(InputError, match=sentence):
        world.run()


def test_damaged_state(world):
    world.run()
    (world.folder / run.STATE).write_text("{")
    sentence = r"must be what exeunt wrote, got something else: delete it to do all steps again$"
    with pytest.raises(InputError, match=sentence):
        world.run()


def test_users_network_file_counts(tmp_path, world):
    text = DIGITS[: DIGITS.index("\n[[model.stages]]")] + DIGITS[DIGITS.index("\n[train]") :]
    path = tmp_path / "net.py"
    path.write_text("1")
    text = text.replace('source = "config"', f'source = "python:{path}:Net"')
    world.run(text)
    assert world.run(text) == []
    path.write_text("2")
    assert world.run(text) == ["train"] or world.did[0] == "train"


OWN = """
name = "own"
[data]
dataset = "pets"
[model]
input = [4, 5, 1]
classes = 2
[[model.stages]]
blocks = [{ conv = 4 }]
"""


@pytest.fixture
def pets(world):
    for name in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"):
        path = world.data / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    assert world.run(OWN) == ALL
    assert world.run(OWN) == []
    return world.data / "pets"


def add(pets):
    (pets / "dog" / "3.png").write_text("another")


def move(pets):
    (pets / "cat" / "1.png").rename(pets / "dog" / "7.png")


def swap(pets):  # same names and sizes
    a, b = pets / "cat" / "1.png", pets / "dog" / "1.png"
    texts, times = (a.read_bytes(), b.read_bytes()), (a.stat(), b.stat())
    for path, text, found in zip((a, b), texts[::-1], times, strict=True):
        path.write_bytes(text)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def rename(pets):
    (pets / "cat").rename(pets / "kitten")


def replace(pets):
    (pets / "dog" / "2.png").write_text("dog/X.png")


@pytest.mark.parametrize("change", [add, move, swap, rename, replace])
def test_changed_data_are_trained_on_again(world, pets, change):
    change(pets)
    assert world.run(OWN)[0] == "train"
    assert world.run(OWN) == []


def test_data_folder_counts_by_its_contents(world, pets, tmp_path):
    shutil.copytree(pets, tmp_path / "copy" / "pets")
    (tmp_path / "copy" / "pets" / "cat" / ".thumb").write_text("hidden")
    os.utime(tmp_path / "copy" / "pets" / "cat" / "1.png", (1, 1))
    world.data = tmp_path / "copy"
    assert world.run(OWN) == []
    add(world.data / "pets")
    told = []
    run.run_all(
        world.context(OWN),
        announce=lambda step, what: told.append((step.name, what, step.title)) or _bar,
    )
    title = "Train the network and all its exits, another data set"
    assert told[0] == ("train", "start", title)


def test_step_on_data_that_are_no_longer_those_of_the_training(world, pets, tmp_path):
    add(pets)
    sentence = (
        r"checkpoint\.pt in .* must come from this data set, got one made with another: do `exeunt "
        r"train` again, name the --data folder that it was made with or choose another --out$"
    )
    with pytest.raises(InputError, match=sentence):
        run.run_step("calibrate", world.context(OWN))
    world.data = tmp_path / "elsewhere"  # where there is nothing to compare with
    world.did = []
    run.run_step("calibrate", world.context(OWN))
    assert world.did == ["calibrate"]


def test_data_that_are_gone_take_nothing_with_them(world, pets, tmp_path):
    before = store.read(world.folder)
    world.data = tmp_path / "elsewhere"
    refusal = InputError("dataset 'pets' must be at ...")
    call = world.call

    def absent(step, context):
        if step.name == "train":
            raise refusal
        call(step, context)

    world.call = absent
    with pytest.raises(InputError, match="must be at"):
        world.run(OWN)
    assert store.read(world.folder) == before
    world.call, world.data = call, pets.parent
    assert world.run(OWN) == []


def test_folder_called_digits_is_not_overlooked(world):
    assert world.run() == ALL
    (world.data / "digits" / "1").mkdir(parents=True)
    assert world.run()[0] == "train"
    explicit = DIGITS.replace('dataset = "digits"', 'dataset = "digits"\nformat = "digits"')
    world.run(explicit)
    (world.data / "digits" / "1" / "a.png").write_text("x")
    assert world.run(explicit) == []


def test_what_a_failing_step_may_leave_is_put_back(world):
    section = "[compress]\nimages = 9\npasses = [{ kind = 'filters' }]\n"
    world.run(f"{DIGITS}\n{section}")
    (world.folder / "compressed.pt").write_text("weights")
    state = run.State(world.folder, world.data)
    step = run.STEPS[run.NAMES.index("compress")]
    state.end(step, state.steps["compress"]["inputs"], 1.0)
    call = world.call

    def fails(step, context):
        if step.name == "compress":
            assert not (world.folder / "compressed.pt").exists()
            raise InputError("budget of a filters pass must ...")
        call(step, context)

    world.call = fails
    with pytest.raises(InputError, match="budget"):
        world.run(f"{DIGITS}\n{section.replace('9', '8')}")
    assert (world.folder / "compressed.pt").read_text() == "weights"
    assert not (world.folder / run.ASIDE).exists()
    assert run.State(world.folder).steps["compress"]["outputs"]["compressed.pt"]


def test_a_moved_folder_needs_nothing_again(world, tmp_path):
    text = DIGITS[: DIGITS.index("\n[[model.stages]]")] + DIGITS[DIGITS.index("\n[train]") :]
    text = text.replace('source = "config"', 'source = "python:net.py:Net"')
    text = text.replace("[compile]", "[compile]\nfolding = 'fold.json'")
    home = tmp_path / "home"
    home.mkdir()
    (home / "net.py").write_text("1")
    (home / "fold.json").write_text("{}")
    (home / "own.toml").write_text(text)

    def go(folder):
        world.did = []
        context = run.Context(tree.load(folder / "own.toml"), folder / "run", world.data)
        run.run_all(context)
        return world.did

    assert go(home) == ALL
    assert go(home) == []
    home.rename(tmp_path / "away")
    assert go(tmp_path / "away") == []
    (tmp_path / "away" / "net.py").write_text("2")
    assert go(tmp_path / "away")[0] == "train"


def test_report_is_written_again_only_when_something_changed(world):
    world.run()
    page = world.folder / "report.html"
    before = page.stat().st_mtime_ns
    assert world.run() == []
    assert page.stat().st_mtime_ns == before
    store.update(world.folder, {"note": 1})
    world.run()
    assert page.stat().st_mtime_ns > before
    page.unlink()
    world.run()
    assert page.exists()


def test_every_step_has_the_function_it_names():
    import importlib

    for step in run.STEPS:
        module, _, function = step.function.partition(":")
        assert callable(getattr(importlib.import_module(module), function)), step.name


def test_a_lone_step_leaves_a_fresh_page(world):
    world.run()
    page = world.folder / "report.html"
    page.write_text("stale")
    run.run_step("calibrate", world.context())
    assert "stale" not in page.read_text()
    page.write_text("stale")
    world.fails["simulate"] = CheckFailed("no match")
    with pytest.raises(CheckFailed):
        run.run_step("simulate", world.context())
    assert "stale" not in page.read_text()


def test_seconds(world):
    world.run()
    assert set(run.seconds(world.folder)) == set(ALL)
    assert json.loads((world.folder / run.STATE).read_text())["running"] is None


def test_bitstreams_are_remembered_by_board_until_the_design_changes(world):
    world.run()
    for board in ("zcu104", "pynq-z2"):
        context = dataclasses.replace(world.context(), options={"board": board})
        run.run_step(f"bitstream:{board}", context)
        store.put(world.folder, "synthesis", "board", [{"board": board}])
    store.put(world.folder, "synthesis", "target", [{"target": "xc7"}])
    run.run_step("bitstream:zcu104", world.context())  # its own entry goes, the other one stays
    left = [e.get("board") for e in store.read(world.folder)["synthesis"]]
    assert left == ["pynq-z2", None]
    assert {"bitstream:zcu104", "bitstream:pynq-z2"} <= set(run.State(world.folder).steps)
    world.texts["compile"] = "another design"
    world.run(DIGITS.replace("target_cycles = 288", "target_cycles = 300"))
    assert store.read(world.folder)["synthesis"] == [{"target": "xc7"}]
    assert not [name for name in run.State(world.folder).steps if name.startswith("bitstream")]
