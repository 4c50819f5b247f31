"""Tasks in a plain loop, and what is said of a scheduler that is none; no worker is started."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from exeunt.command import doctor
from exeunt.command.cli import _guarded
from exeunt.errors import InputError, ToolError
from exeunt.scheduler import HERE, Needs, Task, alike, cluster, opened


def double(folder: Path, number: int, *, progress) -> int:
    (folder / f"{number}.txt").write_text(str(2 * number))
    progress(1, 2, "half")
    return 2 * number


def test_without_a_scheduler_tasks_are_a_plain_loop(tmp_path: Path):
    told, ended = [], []
    tasks = [Task(f"task {n}", tmp_path, (n,)) for n in (3, 5)]
    with opened("") as machines:
        assert machines is HERE
        assert machines.here
        machines.agree(Needs(packages=("torch",)))
        values = machines.map(
            double, tasks, progress=lambda *a: told.append(a), finished=lambda *a: ended.append(a)
        )
    assert values == [6, 10]
    assert ended == [(0, 6), (1, 10)]
    assert (tmp_path / "5.txt").read_text() == "10"
    assert told == [
        (0, 200, "task 3"), (50, 200, "half"), (100, 200, "task 5"), (150, 200, "half"),
    ]  # fmt: skip


def test_without_a_scheduler_nothing_of_dask_is_imported():
    code = """if True:
        import sys
        import exeunt.command.cli, exeunt.command.run, exeunt.command.screen
        import exeunt.quant.compress.compare
        from exeunt.scheduler import opened
        with opened("") as machines:
            machines.map(print, [])
        print(sorted({name.partition(".")[0] for name in sys.modules} & {"dask", "distributed"}))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_dask_that_is_not_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ToolError) as error, opened("local"):
        pass
    assert str(error.value) == (
        "--scheduler needs the package distributed and found none; install it with "
        "`pip install exeunt[dask]`"
    )


def test_doctor_says_what_dask_adds():
    (found,) = [f for f in doctor.findings() if f.tool == "Dask"]
    assert (found.enables, found.needed) == ("--scheduler: more than one machine", False)


@pytest.mark.parametrize(
    ("text", "workers"), [("local:3", 3), ("local:x", 0), ("locals", 0), ("tcp://local:3", 0)]
)
def test_local_says_how_many_workers(text: str, workers: int):
    assert cluster._local(text) == workers
    assert cluster._local("local") >= 1


def test_a_scheduler_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(InputError) as error, opened(f"{tmp_path}/s.json"):
        pass
    assert str(error.value) == (
        "--scheduler must be local, local:4, an address such as tcp://host:8786 or a scheduler "
        f"file, got '{tmp_path}/s.json', which is no file: write it with `dask scheduler "
        "--scheduler-file FILE`"
    )


@pytest.mark.parametrize("text", ["", "{", "[]", '{"type": "Scheduler"}'])
def test_a_scheduler_file_that_is_none(tmp_path: Path, text: str):
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(InputError) as error, opened(str(path)):
        pass
    assert str(error.value) == (
        f"scheduler file {path} must be what `dask scheduler --scheduler-file` writes, got "
        "something else: name that file"
    )


def test_a_scheduler_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    with socket.socket() as silent:  # takes calls and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        path = tmp_path / "s.json"
        path.write_text(json.dumps({"address": address}))
        for text in (address, str(path)):
            with pytest.raises(ToolError) as error, opened(text):
                pass
            said = str(error.value)
            assert said.startswith(f"scheduler {address} must answer within 0.5 s, got no answer (")
            assert said.endswith("): start it with `dask scheduler`, or correct the address")


def test_a_scheduler_that_is_not_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(ToolError, match="got no answer"), opened(address):
            pass


@pytest.mark.parametrize("text", ["tcp://", "nonsense://host:1", "tcp://host:port", "tcp://h"])
def test_an_address_that_is_none(text: str):
    with pytest.raises(InputError) as error, opened(text):
        pass
    assert str(error.value) == (
        f"--scheduler must have an address such as tcp://host:8786, got {text}: correct it"
    )


def test_a_scheduler_is_for_a_comparison(capsys: pytest.CaptureFixture[str]):
    assert _guarded(["compress", "digits", "--scheduler", "local"]) == 2
    assert capsys.readouterr().err == (
        "exeunt: --scheduler must be given with --compare, got it alone: add --compare\n"
    )


def test_what_is_here(tmp_path: Path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.txt").write_text("a")

    def broken() -> str:
        raise ToolError("there is none")

    needs = Needs(
        packages=("no-such-package",), files=(("the data set", tmp_path / "set"),),
        facts=(("colour", lambda: "red"), ("tool", broken)),
    )  # fmt: skip
    seen = alike.seen(needs, "first")
    assert seen["exeunt"]
    assert len(seen[alike.SOURCES]) == len(seen["the data set"]) == 12
    assert (seen["no-such-package"], seen["colour"], seen["tool"]) == ("none", "red", "none")
    (tmp_path / "set" / "b.txt").write_text("b")
    assert alike.seen(needs, "second")["the data set"] != seen["the data set"]
    assert alike.content(tmp_path / "absent") == "none"
    assert (needs + Needs(packages=("torch",))).packages == ("no-such-package", "torch")


def test_how_a_worker_differs(tmp_path: Path):
    needs = Needs(packages=("torch",), files=(("the data set", tmp_path),))
    wanted = {"Python": "3.11.7", "torch": "2.13.0", "the data set": "abc"}
    assert alike.compare("tcp://w:1", wanted, wanted, needs) is None
    other = alike.compare("tcp://w:1", {**wanted, "torch": "2.12.0"}, wanted, needs)
    assert isinstance(other, ToolError)
    assert str(other) == (
        "worker tcp://w:1 must have torch as this machine, 2.13.0, got 2.12.0: install the same on "
        "both and start the worker again"
    )
    other = alike.compare("tcp://w:1", {**wanted, "the data set": "none"}, wanted, needs)
    assert isinstance(other, InputError)
    assert str(other) == (
        f"worker tcp://w:1 must have the data set as this machine, {tmp_path} with digest abc, got "
        "none: make the folder the same on both, or start the worker where it is"
    )
