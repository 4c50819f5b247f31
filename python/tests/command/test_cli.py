"""The command line: fast, one sentence for an error, the right exit code."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from exeunt.command import cli, run, screen
from exeunt.config import tree
from exeunt.errors import CheckFailed, ToolError
from exeunt.report import store

STEPS = [
    "run",
    "config",
    "new",
    "fetch",
    "train",
    "compress",
    "rules",
    "attach",
    "search",
    "calibrate",
    "explain",
    "export",
    "compile",
    "simulate",
    "synth",
    "energy",
    "bitstream",
    "deploy",
    "bench",
    "report",
    "doctor",
    "completion",
]


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main(list(arguments))
    return int(caught.value.code or 0)


@pytest.fixture
def steps(monkeypatch):
    """Replaces the work of every step; `steps[name]` is what it raises."""
    raises: dict[str, BaseException] = {}

    def work(step, context):
        print(f"chatter of {step.name}")
        if step.name in raises:
            raise raises[step.name]
        for name in step.outputs:
            path = context.run_dir / name
            (path.mkdir(exist_ok=True) if name in ("rtl", "report") else path.write_text("x"))
        context.progress(1, 2, "half")

    monkeypatch.setattr(run.Step, "__call__", work)
    return raises


def test_help_lists_exactly_the_steps_that_work():
    assert list(cli.cli.commands) == STEPS


def test_help_is_fast_and_light():
    code = (
        "import sys\nfrom exeunt.command import cli\ntry:\n    cli.main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'numpy', 'pydantic', 'torch', 'rich', 'jinja2', 'matplotlib', 'finn', 'qonnx'}\n"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    best = 99.0
    for _ in range(3):
        started = time.monotonic()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        best = min(best, time.monotonic() - started)
        assert done.returncode == 0, f"--help imported {done.stderr}"
    assert best < 1.0, f"exeunt --help took {best:.2f} s"


@pytest.mark.parametrize("name", STEPS)
def test_every_step_has_help(name, capsys):
    assert call(name, "--help") == 0
    assert name in capsys.readouterr().out


def test_no_arguments_show_help(capsys):
    assert call() == 0
    assert "Usage: exeunt" in capsys.readouterr().out


def test_help_names_every_shipped_config_and_trained_network(capsys):
    assert call("--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    names = re.findall(r"[\w:-]+", text[text.index("config (") : text.index("or a TOML file")])
    expected = {*tree.shipped(), *(f"zoo:{name}" for name in tree.zoo())}
    assert len(expected) > 6
    assert {n for n in names if n not in ("config", "a", "trained", "network")} == expected


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["trian"], r"step must be one of run, .*, got 'trian': did you mean 'train'\?"),
        (["zzz"], r"step must be one of run, .*, got 'zzz': see exeunt --help"),
        (["simulate", "--waves", "gif"], r"invalid value for '--waves': .*: see exeunt --help"),
        (["run", "--fast"], r"no such option '?--fast'?.*: see exeunt --help"),
        (["run", "nosuch"], r"config 'nosuch' must be a shipped name .*: check the path"),
        (["run", "a", "b"], r"got unexpected extra argument \(b\): see exeunt --help"),
        (["rules", "--seeds", "0"], r"--seeds must be given with --compare, got it alone: "),
        *[
            (
                [step, "--compare", "--seeds", given],
                rf"--seeds must be whole numbers from 0 to {2**63 - 1}, as in 0,1,2, got "
                rf"'{given}': change it",
            )
            for step in ("rules", "calibrate")
            for given in ("one", ",", "0,-1", "1.5", str(2**63))
        ],
        (
            ["rules", "digits", "--compare", "--apply", "a.png"],
            "--compare must go without --apply and images: do one of them at a time",
        ),
        (["calibrate", "--seeds", "0"], r"--seeds must be given with --compare, got it alone: "),
        (
            ["calibrate", "--compare", "--criteria", ", "],
            r"--criteria must name criteria, as in margin,softmax, got ', ': leave it out for all",
        ),
        (["report", "--out", "nowhere"], r"run folder nowhere must have a report.json, got none"),
    ],
)
def test_wrong_input_is_one_sentence_and_2(arguments, sentence, capsys):
    assert call(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.match(rf"exeunt: {sentence}", captured.err), captured.err
    assert captured.err.count("\n") == 1


def test_run_shows_each_step_the_table_and_the_report(steps, tmp_path, capsys):
    assert call("run", "--out", str(tmp_path / "o")) == 0
    out = capsys.readouterr().out
    for text in ("train: Train the network", "simulate: done (half)", "figures", "report.html"):
        assert text in out
    assert "chatter" not in out
    log = (tmp_path / "o" / "log.txt").read_text()
    assert "chatter of train" in log
    assert "train: Train the network" in log
    assert call("run", "--out", str(tmp_path / "o")) == 0
    assert "compile: nothing has changed" in capsys.readouterr().out


def test_failed_check_is_1_and_still_shows_the_table(steps, tmp_path, capsys):
    steps["simulate"] = CheckFailed("2 answers differ")
    assert call("run", "--out", str(tmp_path / "o")) == 1
    captured = capsys.readouterr()
    assert "figures" in captured.out
    assert captured.err == "exeunt: 2 answers differ\n"
    assert (tmp_path / "o" / store.HTML).exists()


def test_missing_tool_is_3(steps, tmp_path, capsys):
    steps["train"] = ToolError("g++ must be on the PATH, got none: install it")
    assert call("train", "--out", str(tmp_path / "o")) == 3
    assert capsys.readouterr().err == "exeunt: g++ must be on the PATH, got none: install it\n"


def test_own_fault_is_one_sentence_and_the_log_has_the_traceback(steps, tmp_path, capsys):
    steps["train"] = RuntimeError("a\nb")
    assert call("train", "--out", str(tmp_path / "o")) == 1
    err = capsys.readouterr().err
    assert err == (
        "exeunt: this should not have happened (RuntimeError: a b): "
        "add --debug for the traceback and report it\n"
    )
    assert "Traceback" in (tmp_path / "o" / "log.txt").read_text()


def test_debug_shows_the_traceback_and_the_chatter(steps, tmp_path, capsys):
    steps["train"] = RuntimeError("a")
    assert call("train", "--debug", "--out", str(tmp_path / "o")) == 1
    captured = capsys.readouterr()
    assert "Traceback" in captured.err
    assert "chatter of train" in captured.out


def test_interrupt_is_130(steps, tmp_path, capsys):
    steps["train"] = KeyboardInterrupt()
    assert call("run", "--out", str(tmp_path / "o")) == 130
    err = capsys.readouterr().err.strip()
    assert err == "exeunt: interrupted: the same command goes on from here"


def test_out_defaults_to_build(steps, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("train") == 0
    assert (tmp_path / "build" / "digits" / "checkpoint.pt").exists()


def test_chatter_of_child_processes_goes_to_the_log(tmp_path):
    code = (
        "import os, pathlib, subprocess\nfrom exeunt.command import screen\n"
        "with screen.captured(pathlib.Path('log.txt')) as shown:\n"
        "    subprocess.run(['echo', 'from a child'])\n"
        "    os.write(2, b'from C\\n')\n    shown.console.print('seen')\n"
        "print('after')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout == "seen\nafter\n"
    assert done.stderr == ""
    assert Path(tmp_path / "log.txt").read_text() == "from a child\nfrom C\n"


def test_report_command(finished, capsys):
    (finished / run.LOCK).touch()
    assert call("report", "--out", str(finished)) == 0
    assert capsys.readouterr().out.strip() == str(finished / "report.html")


def test_report_is_written_while_another_command_works(finished, capsys):
    (finished / run.LOCK).touch()
    with run.locked(finished) as owner:
        owner.works("synth", seconds=600)
        assert call("report", "--out", str(finished)) == 0
        said = capsys.readouterr().out.splitlines()
        assert call("compile", "--out", str(finished)) == 2
    assert said == [
        str(finished / "report.html"),
        f"in use by `exeunt synth` (process {os.getpid()}, 0 min so far, about 10 minutes to go): "
        "what that has not finished is not in the report",
    ]
    assert "`exeunt report` works meanwhile" in " ".join(capsys.readouterr().err.split())


def test_long_step_says_now_and_then_how_far_it_is(monkeypatch):
    stream, log = io.StringIO(), io.StringIO()
    now = [0.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    shown = screen.Screen(stream, log)
    step = run.STEPS[run.NAMES.index("synth")]
    bar = shown.announce(step, "start")
    for now[0], done in ((1.0, 5), (screen.EVERY, 60), (screen.EVERY + 1, 90), (99.0, 200)):
        bar(done, 200, f"block {done}")
    bar(200, 200, "7 LUT")
    shown.announce(step, "done")
    assert stream.getvalue().splitlines() == [
        "synth: Count LUT, FF, DSP and BRAM with Yosys",
        "synth: 30%, block 60",
        "synth: done (7 LUT)",
    ]
    assert [line.partition(" ")[2] for line in log.getvalue().splitlines()] == (
        stream.getvalue().splitlines()
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"), 3),
        (ModuleNotFoundError("No module named 'exeunt.x'", name="exeunt.x"), 1),
    ],
)
def test_missing_package_is_one_sentence(monkeypatch, tmp_path, capsys, error, code):
    def fails(*arguments, **more):
        raise error

    monkeypatch.setattr(run, "run_all", fails)
    assert call("run", "--out", str(tmp_path / "o")) == code
    sentence = (
        "exeunt: the package torch must be installed for this step, got none: "
        "`exeunt doctor --fix` prints the command that installs what is missing\n"
    )
    assert (capsys.readouterr().err == sentence) is (code == 3)


def test_without_click_there_is_one_sentence():
    code = "import sys\nsys.modules['click'] = None\nfrom exeunt.command import entry\nentry.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "exeunt: the command line must have the package click, got none, since Exeunt was "
        "installed for the driver alone: pip install 'exeunt[all]'\n"
    )


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            OSError(28, "No space left on device", "/big/checkpoint.pt"),
            "/big/checkpoint.pt must be there to be read and written, got no space left on device: "
            "make room or choose another --out",
        ),
        (
            OSError(28, "No space left on device"),
            "the run folder must be there to be read and written, got no space left on device: "
            "make room or choose another --out",
        ),
        (
            OSError(30, "Read-only file system", "x"),
            "x must be there to be read and written, got read-only file system: change that or "
            "choose another --out",
        ),
        (
            OSError(24, "Too many open files", "x"),
            "x must be there to be read and written, got too many open files: raise `ulimit -n`",
        ),
        (
            MemoryError(),
            "memory must be enough for the network and its images, got no more: make the layers, "
            "the images or train.batch smaller",
        ),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            "memory must be enough for the network and its images, got no more: make the layers, "
            "the images or train.batch smaller",
        ),
    ],
)
def test_surroundings_that_fail_are_one_sentence(
    steps, monkeypatch, tmp_path, capsys, error, sentence
):
    def fails(*arguments, **more):
        raise error

    monkeypatch.setattr(run, "run_all", fails)
    assert call("run", "--out", str(tmp_path / "o")) == 2
    assert capsys.readouterr().err == f"exeunt: {sentence}\n"


def test_a_reader_that_goes_away_is_no_fault(tmp_path):
    command = f"{sys.executable} -m exeunt.command.cli --help | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("U", "")


def test_module_can_be_run():
    done = subprocess.run(
        [sys.executable, "-m", "exeunt.command.cli", "--version"], capture_output=True, text=True
    )
    assert done.stdout == "exeunt 0.2.0\n"


def test_table_of_a_finished_run(finished):
    stream = io.StringIO()
    for table in screen.summary(store.read(finished), {"train": 30.2}):
        Console(file=stream, width=100).print(table)
    shown = stream.getvalue()
    for text in (
        "97.50%",
        "60.00%",
        "multiplications saved",
        "62.00%",
        "2.0 x (96 and 94 multipliers)",
        "train 30",
    ):
        assert text in shown, text
    assert "3,920 LUT, 1,960 FF, 0 DSP, 8 BRAM18" in shown


def test_explain_takes_images_and_a_method(monkeypatch, tmp_path, capsys):
    seen = []

    def work(step, context):
        section = context.config.explain
        seen.append((step.name, section.method, section.quantus, dict(context.options)))
        for name in step.outputs:
            (context.run_dir / name).write_text("x")

    monkeypatch.setattr(run.Step, "__call__", work)
    out = ("--out", str(tmp_path / "run"))
    for step in ("train", "calibrate"):
        assert call(step, "digits", *out) == 0
    assert call("explain", "a.PNG", "b.jpg", "--resize", "--method", "saliency", *out) == 0
    assert call("explain", "digits", "--quantus", *out) == 0
    assert [entry for entry in seen if entry[0] == "explain"] == [
        ("explain", "saliency", False, {"images": ("a.PNG", "b.jpg"), "resize": True}),
        ("explain", "deeplift", True, {"images": None, "resize": None}),
    ]
    told = capsys.readouterr().out
    assert str(tmp_path / "run" / "explained" / "index.html") in told
    assert call("explain", "digits", "--hardware", "--method", "saliency", *out) == 2
    assert (
        "--hardware must go without --method and --quantus, since the accelerator has the methods "
        "of explain.hardware: leave them out"
    ) in capsys.readouterr().err
    assert call("explain", "a.png", "b.png", "--quantus", *out) == 2
    assert (
        "--quantus must have test images to measure, got 2 of your own: leave the flag or the"
        in (" ".join(capsys.readouterr().err.split()))
    )
    assert call("explain", "digits", "--method", "shap", *out) == 2
    assert "'shap' is not one of 'deeplift', 'lrp-epsilon'" in capsys.readouterr().err


def test_calibrate_compares_criteria(monkeypatch, tmp_path, capsys):
    seen = []
    row = {"permitted": 0.01, "saved": 0.5, "accuracy": 0.9, "accuracy_last": 0.91, "seed": 3}
    row |= {"multiplies": 7.0, "images": 5, "images_validation": 5}

    def work(step, context):
        seen.append((step.name, dict(context.options)))
        for name in step.outputs:
            (context.run_dir / name).write_text("x")
        if step.name == "compare":
            rows = [{**row, "criterion": name} for name in context.options["names"]]
            store.update(context.run_dir, {"calibration": {"criteria": rows}})
        if step.name == "calibrate":
            store.update(context.run_dir, {"calibration": {"drop": 0.1}})

    monkeypatch.setattr(run.Step, "__call__", work)
    out = ("--out", str(tmp_path / "run"))
    assert call("train", "digits", *out) == 0
    given = ("--compare", "--criteria", "a, b", "--seeds", "0,3")
    assert call("calibrate", "digits", *given, *out) == 0
    assert seen[1:] == [("compare", {"names": ["a", "b"], "seeds": [0, 3]})]
    told = capsys.readouterr().out
    assert str(tmp_path / "run" / "report.html") in told
    assert "a         permitted 1 points: 50.0% of the multiplications saved, 90.00% right" in told
    assert call("calibrate", "digits", *out) == 0  # which forgets its own figures alone
    assert len(store.read(tmp_path / "run")["calibration"]["criteria"]) == 2
