"""Where tasks are done: in a plain loop here, or by Dask's workers on any number of machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from exeunt.scheduler.tasks import HERE, Machines, Needs, Task, Work, from_file

__all__ = ["HERE", "Machines", "Needs", "Task", "Work", "from_file", "opened"]


@contextmanager
def opened(text: str, *, tell: Callable[[str], None] = print) -> Iterator[Machines]:
    """The machines that `--scheduler` names; nothing of Dask is imported without it.

    Args:
        text: "local", "local:4", an address such as tcp://host:8786, or the file that
            `dask scheduler --scheduler-file` writes; empty: this process alone.
        tell: is told of the workers and of the address of Dask's dashboard.

    Raises:
        InputError: there is no such file, or it is something else.
        ToolError: Dask is not installed, or the scheduler or its workers do not answer.
    """
    if not text:
        yield HERE
        return
    from exeunt.scheduler.cluster import opened

    with opened(text, tell=tell) as found:
        yield found
