"""What a person sees of a run: progress bars, the table at the end; chatter goes to log.txt."""

from __future__ import annotations

import datetime
import io
import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from exeunt.command.run import Step
from exeunt.report import equal

LOG = "log.txt"
EVERY = 30.0  # seconds between two lines of a long step


class Screen:
    """Shows steps as they go: bars on a terminal, elsewhere a few lines a step."""

    def __init__(self, stream: TextIO, log: TextIO | None = None) -> None:
        """Show on `stream`; note every step in `log` too."""
        self.console = Console(file=stream, highlight=False, soft_wrap=not stream.isatty())
        self.log = log
        self.live = self.console.is_terminal
        self.bars = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[text]}"),
            console=self.console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._last: dict[str, str] = {}
        self._told = 0.0

    def _note(self, line: str) -> None:
        if self.log is not None:
            now = datetime.datetime.now().isoformat(timespec="seconds")
            self.log.write(f"{now} {line}\n")
            self.log.flush()
        if not self.live:
            self.console.print(line, markup=False)

    def say(self, line: str) -> None:
        """Show a line above the bars, and note it."""
        self._note(line)
        if self.live:
            self.console.print(line, markup=False)

    def announce(self, step: Step, what: str) -> _Bar:
        """Told by `exeunt.command.run` that `step` starts, is done, failed, or can be skipped."""
        self._told = time.monotonic()
        if what in ("start", "again"):
            self._note(f"{step.name}: {step.title}" + (" (goes on)" if what == "again" else ""))
            self._tasks[step.name] = self.bars.add_task(step.title, total=None, text="")
        elif what == "skip":
            self._note(f"{step.name}: nothing has changed")
            task = self.bars.add_task(step.title, total=1, completed=1, text="nothing has changed")
            self._tasks[step.name] = task
        else:
            last = self._last.get(step.name, "")
            self._note(f"{step.name}: {what}" + (f" ({last})" if last else ""))
            task = self._tasks[step.name]
            if what == "done":
                self.bars.update(task, total=1, completed=1)
            self.bars.stop_task(task)
        return _Bar(self, step.name)

    def tell(self, name: str, done: int, total: int, text: str) -> None:
        """Move the bar of step `name`; where there are no bars, a line now and then."""
        self._last[name] = text
        now = time.monotonic()
        if text and now - self._told >= EVERY and done < total:
            self._told = now
            self._note(f"{name}: {100 * done // total}%, {text}")
        self.bars.update(self._tasks[name], completed=done, total=total, text=text)

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Keep the bars alive during the block (on a terminal)."""
        if not self.live:
            yield
            return
        with self.bars:
            yield


class _Bar:
    """The progress of one step."""

    def __init__(self, screen: Screen, name: str) -> None:
        self.screen, self.name = screen, name

    def __call__(self, done: int, total: int, text: str = "") -> None:
        self.screen.tell(self.name, done, total, text)


@contextmanager
def captured(log: Path | None) -> Iterator[Screen]:
    """A screen on the terminal, while everything else that is printed goes to the file `log`.

    Also what C libraries and child processes print. With None, nothing is captured.
    """
    if log is None:
        yield Screen(sys.stdout)
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8", errors="replace") as file:
        sys.stdout.flush()
        real = _descriptor(sys.stdout) == 1
        if not real:  # somebody, such as a test, already looks at what we print
            screen = Screen(sys.stdout, file)
            with redirect_stdout(file), redirect_stderr(file), _noted(file):
                yield screen
            return
        saved = os.dup(1), os.dup(2)
        terminal = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            with _noted(file):
                yield Screen(terminal, file)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            terminal.close()
            for number, descriptor in enumerate(saved, start=1):
                os.dup2(descriptor, number)
                os.close(descriptor)


@contextmanager
def _noted(file: TextIO) -> Iterator[None]:
    """Write the traceback of what goes wrong to `file`, and let it go on."""
    try:
        yield
    except Exception:
        traceback.print_exc(file=file)
        raise


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (io.UnsupportedOperation, AttributeError, OSError):
        return None


def _percent(value: Any) -> str:
    return "-" if value is None else f"{100 * value:.2f}%"


def _count(value: Any) -> str:
    return "-" if value is None else f"{value:,.0f}"


def summary(report: Mapping[str, Any], seconds: Mapping[str, float]) -> list[Table]:
    """The tables at the end of a run, of what report.json says; what is not there shows as -."""
    accuracy = report.get("accuracy", {})
    simulation = report.get("simulation", {})
    hardware = report.get("hardware", {})
    reference = report.get("cycle_reference", {})

    exits = Table(title=f"{report.get('name', '')}: exits", title_justify="left")
    for name in ("exit", "leaves", "images", "accuracy", "reached by", "multiplies", "latency"):
        exits.add_column(name, justify="right")
    for i, row in enumerate(report.get("exits", [])):
        exits.add_row(
            str(row.get("index", i)),
            _percent(row.get("rate")),
            _count(row.get("images")),
            _percent(row.get("accuracy")),
            _percent(row.get("reach")),
            _count(row.get("macs")),
            _count(row.get("latency_cycles")),
        )

    figures = Table(title="figures", show_header=False, title_justify="left")
    figures.add_column()
    figures.add_column(justify="right")
    rows: list[tuple[str, str]] = [
        ("accuracy of the last exit alone", _percent(accuracy.get("quantized_last_exit"))),
        ("accuracy with early exit", _percent(accuracy.get("early_exit"))),
        ("test images of these accuracies", _count(accuracy.get("images"))),
        ("images through RTL", _count(simulation.get("images"))),
        ("mismatches with the reference", _count(simulation.get("mismatches"))),
        ("cycles per image", _count(simulation.get("cycles_per_image"))),
        ("simulated images per second", _count(simulation.get("images_per_second"))),
        ("simulated cycles per second", _count(simulation.get("cycles_per_second"))),
        ("cycle reference, largest error", _percent(reference.get("max_relative_error"))),
    ]
    clock = hardware.get("clock_mhz")
    if clock:
        text = f"images per second at {clock:g} MHz"
        rows.append((text, _count(hardware.get("throughput_fps"))))
    rows += [
        ("multiplications saved", _percent(hardware.get("multiplies_saved"))),
        *(
            (f"faster than without exits, equal {label}", f"{ratio:.1f} x ({both})")
            for label, ratio, both in equal.speedups(report)
        ),
    ]
    for target, total in _resources(report):
        text = ", ".join(f"{v:,} {k}" for k, v in total.items())
        rows.append((f"resources, {target}", text))
    if not _resources(report):
        rows.append(("resources", "not counted yet: exeunt synth"))
    rows.append(("seconds", ", ".join(f"{k} {v:.0f}" for k, v in seconds.items()) or "-"))
    for row in rows:
        figures.add_row(*row)
    return [exits, figures]


def _resources(report: Mapping[str, Any]) -> list[tuple[str, dict[str, int]]]:
    """Total resources a target of `exeunt synth`."""
    keys = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram18": "BRAM18"}
    return [
        (
            entry.get("target") or entry.get("board", "?"),
            {keys[k]: entry["resources"][k] for k in keys if k in entry.get("resources", {})},
        )
        for entry in report.get("synthesis", [])
        if entry.get("resources")
    ]
