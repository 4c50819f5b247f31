"""Puts the deliberate faults of faults.py in, one by one, and runs the test that must catch each.

Every worker has its own copy of the tree in build/mutants, so nothing here is ever changed. A test
must pass in the copy before a fault is put in. A fault with which the sources do not build, or with
which the test has no end, counts as survived.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faults import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("python", "quant", "hls", "boards", "zoo", "rtl_tests", "examples", "docs")
FILES = ("pyproject.toml", "README.md", "CHANGELOG.md", "Makefile")
ROOMS = ("quant", "hls", "boards", "zoo")  # below the import name, as the install has them
OBJECTS = Path("build") / "rtl_tests" / "objects"  # of the Verilator runtime, kept by lib/bench.py
LIMIT = 240.0  # seconds for one test
PASSED, FAILED = 0, 1
NOT_TRIED = "not tried"


@dataclass(frozen=True)
class Outcome:
    """`why` a mutant survived; empty when its test caught it."""

    mutant: Mutant
    seconds: float
    why: str


class Copy:
    """A copy of the tree, in which one test runs at a time."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._closed = False
        for name in FOLDERS:
            shutil.rmtree(folder / name, ignore_errors=True)
            if (root / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
                shutil.copytree(root / name, folder / name, ignore=ignored)
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            if (root / name).exists():
                shutil.copy2(root / name, folder / name)
        package = folder / "path" / "exeunt"
        shutil.rmtree(package, ignore_errors=True)
        package.mkdir(parents=True)
        for path in (folder / "python" / "exeunt").glob("*"):
            (package / path.name).symlink_to(path)
        for name in ROOMS:
            (package / name).symlink_to(folder / name)
        (root / OBJECTS).mkdir(parents=True, exist_ok=True)
        (folder / OBJECTS).parent.mkdir(parents=True, exist_ok=True)
        if not (folder / OBJECTS).is_symlink():
            shutil.rmtree(folder / OBJECTS, ignore_errors=True)
            (folder / OBJECTS).symlink_to(root / OBJECTS)

    def run(self, mutant: Mutant, limit: float) -> tuple[int, str]:
        """Exit code of the mutant's test in this copy (-1: stopped), and what it printed."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "path")}
        environment["CORNERS"] = mutant.corners
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        self._process = subprocess.Popen(
            [*command, "-m", "not slow", mutant.test],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        if self._closed:
            self._kill()
        try:
            said, _ = self._process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self._kill()
            self._process.communicate()
            return -1, f"no end after {limit:g} s"
        return self._process.returncode, said

    def close(self) -> None:
        """Ends the test that runs, and lets none run any more."""
        self._closed = True
        self._kill()

    def _kill(self) -> None:
        """Ends the test that runs, and the simulation that it started."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def attempt(self, mutant: Mutant, age: int, limit: float) -> str:
        """Why `mutant` survived; empty when its test caught it.

        `age`, another one for every mutant of a file, goes into the file's time: byte code is kept
        as long as time and size are the same.
        """
        path = self.folder / mutant.file
        text, times = path.read_text(encoding="utf-8"), path.stat()
        if text.count(mutant.old) != 1:
            return f"{mutant.old!r} must occur once in {mutant.file}, got {text.count(mutant.old)}"
        path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        os.utime(path, (times.st_atime, times.st_mtime + 1 + age))
        try:
            code, said = self.run(mutant, limit)
        finally:
            path.write_text(text, encoding="utf-8")
            os.utime(path, (times.st_atime, times.st_mtime))
        return judge(mutant, code, said)


def judge(mutant: Mutant, code: int, said: str) -> str:
    """Why `mutant` survived a test that ended with `code` and printed `said`; empty: caught."""
    if code == -1:
        return "" if mutant.hangs else said
    if any(sign in said for sign in ("%Error", "the build failed", "SyntaxError")):
        return "it does not build"
    if code == FAILED:
        return ""
    return "the test passes" if code == PASSED else f"pytest ended with {code}"


def work(
    copy: Copy,
    groups: queue.Queue[list[Mutant]],
    found: queue.Queue[Outcome],
    deadline: float,
    limit: float,
) -> None:
    """Takes groups of mutants with the same test and corners, and tries each of them."""
    while True:
        try:
            group = groups.get_nowait()
        except queue.Empty:
            return
        sound = None  # whether the test passes without a fault
        for age, mutant in enumerate(group):
            started = time.monotonic()
            if started >= deadline:
                found.put(Outcome(mutant, 0.0, NOT_TRIED))
                continue
            try:
                if sound is None:
                    code, said = copy.run(mutant, limit)
                    sound = code == PASSED
                why = "" if sound else f"without it the test fails too: {said[-1500:]}"
                why = why or copy.attempt(mutant, age, limit)
            except OSError as error:
                why = str(error)
            found.put(Outcome(mutant, time.monotonic() - started, why))


def groups_of(mutants: Sequence[Mutant]) -> list[list[Mutant]]:
    """Those with the same test and corners together; what takes longest goes first."""
    groups: dict[tuple[str, str], list[Mutant]] = {}
    for mutant in mutants:
        groups.setdefault((mutant.test, mutant.corners), []).append(mutant)
    return sorted(groups.values(), key=lambda g: (g[0].file.endswith(".py"), -len(g)))


def label(mutant: Mutant) -> str:
    """Its file, what stood there and the fault, for a line of the table."""
    old, new = (" ".join(text.split()) for text in (mutant.old, mutant.new))
    return f"{Path(mutant.file).name}: {_short(old)} -> {_short(new) or 'nothing'}"


def _short(text: str, most: int = 24) -> str:
    return text if len(text) <= most else f"{text[: most - 2]}.."


def line(outcome: Outcome) -> str:
    """A row of the table."""
    state = "caught" if not outcome.why else f"SURVIVED: {outcome.why}"
    what, test = label(outcome.mutant), outcome.mutant.test.partition("::")
    name = test[2] or Path(test[0]).name
    return f"{what:72}  {name[:48]:48}  {outcome.seconds:4.0f} s  {state}"


def attempt_all(
    mutants: Sequence[Mutant],
    root: Path,
    *,
    workers: int = 2,
    minutes: float = float("inf"),
    limit: float = LIMIT,
) -> list[Outcome]:
    """The outcome of every mutant, in their order; those behind the time limit were not tried.

    Args:
        mutants: what to put in.
        root: the tree; copies of it go to build/mutants there.
        workers: tests at once.
        minutes: after that, no test is started.
        limit: seconds for one test.
    """
    deadline = time.monotonic() + 60 * minutes
    groups: queue.Queue[list[Mutant]] = queue.Queue()
    found: queue.Queue[Outcome] = queue.Queue()
    for group in groups_of(mutants):
        groups.put(group)
    copies = [Copy(root, root / "build" / "mutants" / str(n)) for n in range(workers)]
    threads = [
        threading.Thread(target=work, args=(copy, groups, found, deadline, limit), daemon=True)
        for copy in copies
    ]
    for thread in threads:
        thread.start()
    outcomes: dict[Mutant, Outcome] = {}
    try:
        for count in range(len(mutants)):
            outcome = found.get()
            outcomes[outcome.mutant] = outcome
            print(f"{count + 1:3}/{len(mutants)}  {line(outcome)}", flush=True)
    finally:
        for copy in copies:
            copy.close()
    for thread in threads:
        thread.join()
    return [outcomes[mutant] for mutant in mutants]


def report(outcomes: Sequence[Outcome], minutes: float) -> int:
    """Prints the table; 1 when a mutant survived or was not tried."""
    print(f"\n{'mutant':72}  {'test':48}   time  outcome")
    for outcome in outcomes:
        print(line(outcome))
    left = sum(o.why == NOT_TRIED for o in outcomes)
    if left:
        print(
            f"mutants: all must be tried within {minutes:g} minutes, got {left} of "
            f"{len(outcomes)} left: give more with --minutes, or make a test faster"
        )
    caught = sum(not o.why for o in outcomes)
    print(f"mutants: {caught} of {len(outcomes)} caught")
    return 0 if caught == len(outcomes) else 1


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Try all faults, or those in files whose name contains the argument."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="?", default="", help="part of a file name")
    parser.add_argument("--list", action="store_true", help="only list the faults")
    parser.add_argument("--workers", type=int, default=2, help="tests at once")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="for all of them")
    given = parser.parse_args(arguments)
    chosen = [m for m in MUTANTS if given.files in m.file]
    if not chosen:
        parser.error(
            f"files must be part of a file name with a fault, got {given.files!r}: see --list"
        )
    if given.workers < 1 or given.minutes <= 0:
        parser.error(
            f"workers and minutes must be above 0, got {given.workers} and {given.minutes:g}"
        )
    if given.list:
        for mutant in chosen:
            print(f"{mutant.file}: {mutant.old}  ->  {mutant.new}")
        return 0
    started = time.monotonic()
    outcomes = attempt_all(chosen, root, workers=given.workers, minutes=given.minutes)
    code = report(outcomes, given.minutes)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = (used.ru_utime + used.ru_stime) / 60
    wall = (time.monotonic() - started) / 60
    print(f"mutants: {wall:.1f} minutes, {processor:.1f} minutes of processor")
    return code


if __name__ == "__main__":
    sys.exit(main())
