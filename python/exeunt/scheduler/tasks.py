"""Tasks and the plain loop that does them; what a worker must have before it is given one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from exeunt.progress import Progress, silent

Work = Callable[..., Any]  # work(folder, *arguments, progress=...): files to files, and a value
Finished = Callable[[int, Any], None]
UNITS = 100  # of the progress, for each task


@dataclass(frozen=True)
class Task:
    """One call of a pure function: the same arguments and files give the same value and files.

    Attributes:
        name: for people.
        folder: where it reads and writes; on a worker, an empty one with what it reads.
        arguments: plain data; paths in them are absolute and mean the same on every machine.
        reads: files and folders in `folder` that it reads, as far as they are there.
    """

    name: str
    folder: Path
    arguments: tuple[Any, ...] = ()
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Needs:
    """What must be the same on a worker as here.

    Attributes:
        packages: Python distributions, whose versions must agree.
        files: what people call it, and the absolute path of a file or folder with equal contents.
        facts: what people call it, and a function that says it.
    """

    packages: tuple[str, ...] = ()
    files: tuple[tuple[str, Path], ...] = ()
    facts: tuple[tuple[str, Callable[[], str]], ...] = ()

    def __add__(self, other: Needs) -> Needs:
        """What both ask for."""
        return Needs(
            tuple(dict.fromkeys(self.packages + other.packages)),
            tuple(dict.fromkeys(self.files + other.files)),
            tuple(dict.fromkeys(self.facts + other.facts)),
        )


def from_file(
    folder: Path, file: Path, name: str, *arguments: Any, progress: Progress = silent
) -> Any:
    """Call a function of a file that is in no package, and is at the same place everywhere."""
    del folder
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    value = getattr(importlib.import_module(file.stem), name)(*arguments)
    progress(1, 1)
    return value


class Machines(Protocol):
    """Does tasks."""

    @property
    def here(self) -> bool:
        """Whether that is this process alone."""

    def agree(self, needs: Needs) -> None:
        """Refuse workers that differ in what is needed; a step says it before its first task.

        Raises:
            InputError: a worker has other files.
            ToolError: a worker has other versions, or there is none.
        """

    def map(
        self,
        work: Work,
        tasks: Sequence[Task],
        *,
        progress: Progress = silent,
        finished: Finished | None = None,
    ) -> list[Any]:
        """Do all tasks; their values in order.

        What a task writes is in its folder when `finished(number, value)` is told of it, in the
        order in which they end. The first error of a task is raised, and the others are given up.

        Raises:
            ToolError: a task died on several workers, or the scheduler went away.
        """


class Here:
    """This process: one task after the other."""

    here = True

    def agree(self, needs: Needs) -> None:
        """It agrees with itself."""

    def map(
        self,
        work: Work,
        tasks: Sequence[Task],
        *,
        progress: Progress = silent,
        finished: Finished | None = None,
    ) -> list[Any]:
        """As `Machines.map`, in order."""
        values = []
        for number, task in enumerate(tasks):
            told = _one_of(progress, number, len(tasks))
            told(0, 1, task.name)
            values.append(work(task.folder, *task.arguments, progress=told))
            if finished is not None:
                finished(number, values[-1])
        return values


def _one_of(progress: Progress, number: int, count: int) -> Progress:
    """The progress of task `number` of `count`."""

    def tell(done: int, total: int, text: str = "") -> None:
        progress(UNITS * number + UNITS * done // max(1, total), UNITS * count, text)

    return tell


HERE: Machines = Here()
