"""Tasks on Dask's workers: two of this machine, of which one is killed."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import pytest

from exeunt import optimise
from exeunt.config import tree
from exeunt.config.search import Search
from exeunt.errors import InputError, ToolError
from exeunt.progress import silent
from exeunt.quant import compare as criteria
from exeunt.quant.compress.compare import compare
from exeunt.quant.train import train
from exeunt.report import store
from exeunt.scheduler import HERE, Machines, Needs, Task, alike, cluster, opened
from exeunt.search import study
from exeunt.search.trial import Outcome
from exeunt.search.wish import wish
from exeunt.simulate import simulate

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not find this file

WIDE = """
name = "wide"
[data]
dataset = "digits"
validation = 0.15
[model]
input = [8, 8, 1]
classes = 10
[[model.stages]]
blocks = [{ conv = 16, stride = 2, padding = 1 }]
[train]
epochs = 1
batch = 256
[compress]
images = 40
passes = [{ kind = "filters", budget = 0.6 }]
[compress.compare]
criteria = ["l1", "random"]
seeds = [0, 1]
epochs = 0
"""


STAGE = """
[[model.stages]]
blocks = [{ conv = 8, stride = 2, padding = 1 }]
"""


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def machines(said: list[str]) -> Iterator[Machines]:
    with opened("local:2", tell=said.append) as found:
        yield found


def test_the_dashboard_is_told(machines: Machines, said: list[str]):
    assert not machines.here
    assert said[0].startswith("2 workers, dashboard: http://127.0.0.1:")


def joined(folder: Path, number: int, *, progress) -> int:
    """Reads two files, changes one of them and writes another."""
    text = (folder / "sub" / "a.txt").read_text() + (folder / "b.txt").read_text()
    if (folder / "c.txt").exists():  # an assert of pytest's is not known on a worker
        raise InputError("what a task does not read must not be there")
    (folder / f"out{number}").mkdir()
    (folder / f"out{number}" / "text.txt").write_text(text * number)
    (folder / "b.txt").write_text(text)
    progress(1, 1)
    return number


def test_files_go_out_and_come_home(machines: Machines, tmp_path: Path):
    (tmp_path / "sub").mkdir()
    for name in ("sub/a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_text(name[0])
    told, ended = [], []
    tasks = [Task(f"task {n}", tmp_path, (n,), ("sub", "b.txt", "none")) for n in range(6)]
    values = machines.map(
        joined, tasks, progress=lambda *a: told.append(a), finished=lambda *a: ended.append(a)
    )
    assert values == list(range(6))
    assert sorted(ended) == [(n, n) for n in range(6)]
    assert [(tmp_path / f"out{n}" / "text.txt").read_text() for n in range(6)] == [
        "sb" * n for n in range(6)
    ]
    assert (tmp_path / "b.txt").read_text() == "sb"
    assert (tmp_path / "c.txt").read_text() == "c"
    assert told[-1][:2] == (600, 600)
    assert told[-1][2].endswith(" workers")


def failing(folder: Path, number: int, *, progress) -> int:
    if number == 1:
        raise InputError("the second must be good, got bad: change it")
    return number


def test_an_error_comes_home_as_it_is(machines: Machines, tmp_path: Path):
    tasks = [Task(f"task {n}", tmp_path, (n,)) for n in range(4)]
    with pytest.raises(InputError) as error:
        machines.map(failing, tasks)
    assert str(error.value) == "the second must be good, got bad: change it"
    assert machines.map(joined, []) == []


def dying(folder: Path, number: int, mark: Path, *, progress) -> tuple[int, int]:
    """The third task takes its worker with it, the first time."""
    if number == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / f"{number}.txt").write_text(str(number))
    return number, os.getpid()


def test_a_worker_that_dies_costs_one_task(machines: Machines, tmp_path: Path):
    mark, ended = tmp_path / "mark", []
    tasks = [Task(f"task {n}", tmp_path, (n, mark)) for n in range(8)]
    values = machines.map(dying, tasks, finished=lambda number, _: ended.append(number))
    assert mark.exists()
    assert [number for number, _ in values] == list(range(8))
    assert sorted(ended) == list(range(8)), "nothing is counted twice"
    assert [(tmp_path / f"{n}.txt").read_text() for n in range(8)] == list("01234567")


def limit(machines: Machines, deaths: int) -> None:
    """Give a task up after so many deaths of workers; 3 is Dask's own limit."""
    client = machines.client  # type: ignore[attr-defined]
    client.run_on_scheduler(
        lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", deaths)
    )


def deadly(folder: Path, *, progress) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_task_that_kills_every_worker_is_given_up(machines: Machines, tmp_path: Path):
    limit(machines, 0)
    with pytest.raises(ToolError) as error:
        machines.map(deadly, [Task("poison", tmp_path)])
    limit(machines, 3)
    assert str(error.value).startswith(
        "task poison must end on some worker, got one after the other that died of it (tcp://"
    )


def test_a_worker_that_is_not_alike(machines: Machines, tmp_path: Path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a").touch()
    machines.agree(Needs(packages=("torch",), files=(("the data set", tmp_path / "set"),)))
    with pytest.raises(ToolError) as error:
        machines.agree(Needs(facts=(("process", lambda: str(os.getpid())),)))
    assert str(error.value).startswith("worker tcp://127.0.0.1:")
    assert f" must have process as this machine, {os.getpid()}, got " in str(error.value)
    assert str(error.value).endswith(": install the same on both and start the worker again")
    with pytest.raises(ToolError, match="must have process as this machine"):
        machines.map(joined, [Task("a worker that has come later", tmp_path, (1,))])
    machines.agree(Needs())


def contents(folder: Path) -> dict[str, str]:
    """Digests of all files that a comparison leaves."""
    paths = [folder / "report.json", *folder.rglob("compare/**/*")]
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in paths if p.is_file() and ".stages" not in p.parts
    }  # fmt: skip


def test_a_comparison_gives_the_same_bytes_though_a_worker_is_killed(
    machines: Machines, tmp_path: Path
):
    config = tree.parse(WIDE)
    one, two = tmp_path / "one", tmp_path / "two"
    train(config, one, tmp_path)
    shutil.copytree(one, two)
    compare(config, one, tmp_path, machines=HERE)
    killed: list[int] = []

    def kill(done: int, total: int, text: str = "") -> None:
        """Kill a worker when the first cell has come home."""
        if "seed" in text and "training" not in text and not killed:
            processes = machines.client.run(os.getpid)  # type: ignore[attr-defined]
            killed.append(next(iter(processes.values())))
            os.kill(killed[0], signal.SIGKILL)

    rows = compare(config, two, tmp_path, machines=machines, progress=kill)
    assert killed
    assert len(rows) == 4
    found = contents(two)
    assert found == contents(one)
    assert {"report.json", "compare/cells/filters-l1-0.6-seed1.json"} <= set(found)


def pretend(config: tree.Config, folder: Path, data_dir: Path, **more) -> Outcome:
    """A trial without a training, which leaves a file; the fifth takes its worker with it."""
    mark = data_dir / "mark"
    if folder_number(config) == 5 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "file.txt").write_text(config.name)
    wide = sum(b.conv for s in config.model.stages for b in s.blocks if hasattr(b, "conv"))
    return Outcome(0.8 + wide / 400, 0.8, 100.0 * wide, wide, 1, 0, 1, (1.0,), (0.5,))


def folder_number(config: tree.Config) -> int:
    return int(config.name.rpartition("-")[2])


def test_a_search_is_the_same_one(machines: Machines, tmp_path: Path):
    config = tree.parse(
        WIDE.partition("[compress]")[0] + "[compile]\nresources = { lut = 30000 }\n"
    )
    section = Search(trials=8, batch=4)
    asked = wish(config.compile, optimise.Budget(lut=30000))
    found = []
    for name, where in (("away", machines), ("here", HERE)):  # here, nothing may die
        found.append(
            study.run(
                config, section, tmp_path / name, tmp_path, wish=asked, progress=silent,
                evaluate=pretend, machines=where,
            )
        )  # fmt: skip
    assert (tmp_path / "mark").exists()
    assert found[0] == found[1]
    files = [
        sorted(p.read_text() for p in (tmp_path / n).rglob("file.txt")) for n in ("here", "away")
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 8


def test_criteria_of_several_seeds_are_the_same(machines: Machines, tmp_path: Path):
    config = tree.parse(WIDE.partition("[compress]")[0].replace("[train]", STAGE + "[train]"))
    train(config, tmp_path / "here", tmp_path)
    shutil.copytree(tmp_path / "here", tmp_path / "away")
    reports = []
    for name, where in (("here", HERE), ("away", machines)):
        folder = tmp_path / name
        criteria.compare(config, folder, tmp_path, seeds=[0, 1], names=["margin"], machines=where)
        reports.append((folder / "report.json").read_bytes())
        assert (folder / "criteria" / "seed1" / "checkpoint.pt").exists()
    assert reports[0] == reports[1]


TIMES = ("build_seconds", "images_per_second", "cycles_per_second", "per_core", "seconds")


@pytest.mark.sim
def test_a_simulation_gives_the_same_bytes(machines: Machines, compiled: Path, tmp_path: Path):
    """In two slices, with and without workers, but for how long it took."""
    config = tree.parse(WIDE + "[simulate]\nprocesses = 2\n")
    reports, files = [], []
    for name, where in (("here", HERE), ("away", machines)):
        folder = tmp_path / name
        shutil.copytree(compiled, folder)
        if where is machines:
            shutil.copytree(tmp_path / "here" / ".sim", folder / ".sim")  # compiled once
        simulate(config, folder, machines=where)
        report = store.read(folder)
        assert all(report["simulation"].pop(key) for key in TIMES)
        reports.append(report)
        files.append((folder / "simulation.json").read_bytes())
    assert reports[0] == reports[1]
    assert reports[0]["simulation"]["mismatches"] == 0
    assert reports[0]["simulation"]["processes"] == 2
    assert reports[0]["drift"]["checked"]
    assert files[0] == files[1]


def started(*command: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
    )  # fmt: skip


def test_no_workers_and_workers_of_other_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A scheduler by its file: first alone, then with a worker whose torch says it is older."""
    file = tmp_path / "scheduler.json"
    other = tmp_path / "site" / "torch-0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 0.1\n")
    running = [
        started("distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard",
                "--host", "127.0.0.1", "--scheduler-file", str(file)),
    ]  # fmt: skip
    try:
        until = time.monotonic() + 120
        while not file.exists() and time.monotonic() < until:
            time.sleep(0.1)
        monkeypatch.setattr(cluster, "PATIENCE", 60.0)
        with monkeypatch.context() as short:
            short.setattr(cluster, "_workers", impatient)
            with pytest.raises(ToolError) as error, opened(str(file)):
                pass
        assert str(error.value).startswith("scheduler tcp://127.0.0.1:")
        assert " must have a worker within 0.1 s, got none: start some with `dask " in str(
            error.value
        )
        running.append(
            started("distributed.cli.dask_worker", "--scheduler-file", str(file), "--nthreads",
                    "2", "--no-nanny", "--no-dashboard", env={"PYTHONPATH": str(tmp_path / "site")})
        )  # fmt: skip
        with opened(str(file), tell=print) as found:
            with pytest.raises(ToolError) as error:
                found.agree(Needs())
            assert " must have one thread, got 2: start it with `dask worker tcp" in str(
                error.value
            )
            monkeypatch.setattr(cluster, "_crowded", lambda *_: None)
            with pytest.raises(ToolError) as error:
                found.agree(Needs(packages=("torch",)))
        version = alike.seen(Needs(packages=("torch",)))["torch"]
        assert f" must have torch as this machine, {version}, got 0.1: " in str(error.value)
    finally:
        for process in running:
            process.kill()
            process.wait()


def impatient(client: object, address: str) -> object:
    """`_workers` with less patience than a loaded machine needs to answer at all."""
    patience, cluster.PATIENCE = cluster.PATIENCE, 0.1
    try:
        return real(client, address)
    finally:
        cluster.PATIENCE = patience


real = cluster._workers
