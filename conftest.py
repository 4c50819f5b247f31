"""Under xdist the longest test files go first, so that all workers end together.

What a test took is kept in pytest's cache from run to run. What never ran there is guessed from its
markers and its folder.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

KEY = "exeunt/seconds"  # of each test, by its id
GUESS = {"sim": 8.0, "synth": 8.0, "slow": 60.0}  # seconds of a test with that marker
TORCH = {"quant": 2.0, "hls": 2.0, "command": 1.0}  # of one in that folder
OTHERS = 0.3


def guessed(item: pytest.Item) -> float:
    """Seconds that a test may take which never ran here."""
    least = TORCH.get(item.path.parent.name, OTHERS)
    return max((GUESS.get(mark.name, least) for mark in item.iter_markers()), default=least)


def longest_first(items: Sequence[pytest.Item], known: Mapping[str, float]) -> list[pytest.Item]:
    """The tests file by file, the file that takes longest first; within a file as they stand."""
    totals: dict[Path, float] = {}
    for item in items:
        seconds = known.get(item.nodeid, guessed(item))
        totals[item.path] = totals.get(item.path, 0.0) + seconds
    return sorted(items, key=lambda item: (-totals[item.path], str(item.path)))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort on the workers of xdist alone: without them, the order of the files is the one meant."""
    cache = getattr(config, "cache", None)
    if hasattr(config, "workerinput"):
        items[:] = longest_first(items, cache.get(KEY, {}) if cache else {})


class Clock:
    """What every test took, and when each worker did its last one."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.seconds: dict[str, float] = {}
        self.ends: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add one phase of a test."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        worker = getattr(report, "node", None)
        if worker is not None:
            self.ends[worker.gateway.id] = time.monotonic() - self.began

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Keep the times for the next run."""
        cache = getattr(session.config, "cache", None)
        if cache is not None and self.seconds:
            cache.set(KEY, {**cache.get(KEY, {}), **self.seconds})

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say how well the work was shared."""
        if len(self.ends) > 1:
            ends = ", ".join(f"{name} {end:.0f} s" for name, end in sorted(self.ends.items()))
            terminalreporter.write_line(f"workers ended after: {ends}")


def pytest_configure(config: pytest.Config) -> None:
    """Take the times where the reports come together."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Clock(), "exeunt-clock")
