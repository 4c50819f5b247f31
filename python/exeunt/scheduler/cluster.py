"""Tasks on Dask's workers: files go out and come home by content, each result is taken once."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exeunt.errors import ExeuntError, InputError, ToolError
from exeunt.files import walk, writing
from exeunt.progress import Progress, silent
from exeunt.scheduler import alike
from exeunt.scheduler.tasks import UNITS, Finished, Needs, Task, Work

PATIENCE = 10.0  # seconds in which a scheduler must answer, and have a worker
ALONE = 60.0  # seconds without any worker after which tasks are given up
POLL = 1.0
LOCAL = "local"
_ADDRESS = re.compile(r"(tcp|tls)://([^\s/:]+|\[[^\s/]+\]):(\d{1,5})/?")
START = "dask worker {} --nworkers auto --nthreads 1"
SETTINGS = {
    "distributed.admin.large-graph-warning-threshold": "4GB",  # files travel with tasks
}


@dataclass(frozen=True)
class Done:
    """What a task gave: its value, and its files as name -> (SHA-256, content)."""

    value: Any
    files: Mapping[str, tuple[str, bytes]]


@contextmanager
def opened(text: str, *, tell: Callable[[str], None]) -> Iterator[Cluster]:
    """As `exeunt.scheduler.opened`, of a text that is not empty."""
    distributed = _distributed()
    import dask

    address = "" if _local(text) else _address(text)
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(SETTINGS))
        if not address:
            local = distributed.LocalCluster(
                n_workers=_local(text), threads_per_worker=1, processes=True, memory_limit=None,
                host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=logging.ERROR,
            )  # fmt: skip
            stack.enter_context(local)
            address = local.scheduler_address
        client = stack.enter_context(_client(distributed, address))
        count = len(_workers(client, address))
        tell(f"{count} worker{'s' * (count > 1)}, dashboard: {client.dashboard_link}")
        yield Cluster(client, address)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise ToolError(
            "--scheduler needs the package distributed and found none; install it with "
            "`pip install exeunt[dask]`"
        ) from None
    logging.getLogger("distributed").setLevel(logging.ERROR)
    return distributed


def _local(text: str) -> int:
    """Workers of "local" and "local:4"; 0: something else."""
    name, colon, count = text.partition(":")
    if name != LOCAL or (colon and not count.isdigit()):
        return 0
    return int(count or os.cpu_count() or 1)


def _address(text: str) -> str:
    """The address that a text is, or that is in a scheduler file of that name."""
    address = text
    if "://" not in text:
        try:
            address = str(json.loads(Path(text).read_text(encoding="utf-8"))["address"])
        except OSError:
            raise InputError(
                "--scheduler must be local, local:4, an address such as tcp://host:8786 or a "
                f"scheduler file, got {text!r}, which is no file: write it with `dask scheduler "
                "--scheduler-file FILE`"
            ) from None
        except (ValueError, KeyError, TypeError):
            raise InputError(
                f"scheduler file {text} must be what `dask scheduler --scheduler-file` writes, got "
                "something else: name that file"
            ) from None
    if _ADDRESS.fullmatch(address) is None:
        raise InputError(
            f"--scheduler must have an address such as tcp://host:8786, got {address}: correct it"
        )
    return address


def _client(distributed: Any, address: str) -> Any:
    """A client of the scheduler, once something there has begun to speak."""
    parts = _ADDRESS.fullmatch(address)
    assert parts is not None, f"{address} is no address"
    kind, host, port = parts.groups()
    try:
        if kind == "tcp":  # a client of Dask waits for the first word for ever
            with socket.create_connection((host.strip("[]"), int(port)), PATIENCE) as line:
                if not line.recv(1):
                    raise ConnectionAbortedError
        return distributed.Client(address, timeout=PATIENCE, set_as_default=False, name="exeunt")
    except OSError as error:
        why = type(error).__name__
        raise ToolError(
            f"scheduler {address} must answer within {PATIENCE:g} s, got no answer ({why}): start "
            "it with `dask scheduler`, or correct the address"
        ) from None


def _workers(client: Any, address: str) -> Mapping[str, int]:
    """Threads by worker, as soon as there is one.

    Raises:
        ToolError: there is none.
    """
    until = time.monotonic() + PATIENCE
    while True:
        found: Mapping[str, int] = client.nthreads()
        if found:
            return found
        if time.monotonic() > until:
            raise ToolError(
                f"scheduler {address} must have a worker within {PATIENCE:g} s, got none: start "
                f"some with `{START.format(address)}`"
            )
        time.sleep(0.1)


class Cluster:
    """Workers of one scheduler; see `Machines`."""

    here = False

    def __init__(self, client: Any, address: str) -> None:
        """Give tasks to the workers that `client` knows."""
        self.client, self.address = client, address
        self.session = uuid.uuid4().hex[:8]
        self.needs = Needs()

    def agree(self, needs: Needs) -> None:
        """As `Machines.agree`; a worker that comes later is asked before its first task."""
        self.needs = needs
        wanted = alike.seen(needs, self.session)
        threads = _workers(self.client, self.address)
        found = self.client.run(alike.seen, needs, self.session, on_error="return")
        for worker in sorted(found):
            if isinstance(found[worker], BaseException):
                told = f"{type(found[worker]).__name__}: {found[worker]}"
                raise ToolError(
                    f"worker {worker} must have exeunt {wanted['exeunt']} as this machine, got "
                    f"none that can be asked ({told}): install it there"
                )
            wrong: ExeuntError | None = _crowded(worker, threads.get(worker, 1), self.address)
            wrong = wrong or alike.compare(worker, found[worker], wanted, needs)
            if wrong is not None:
                raise wrong

    def map(
        self,
        work: Work,
        tasks: Sequence[Task],
        *,
        progress: Progress = silent,
        finished: Finished | None = None,
    ) -> list[Any]:
        """As `Machines.map`; a task whose worker dies is done by another one."""
        wanted = alike.seen(self.needs, self.session)
        contents: dict[str, Any] = {}  # content by digest, as a task of its own: it can be repeated
        futures = {}
        for number, task in enumerate(tasks):
            reads = {}
            for name, path in _files(task.folder, task.reads):
                data = path.read_bytes()
                reads[name] = alike.digest(data)
                if reads[name] not in contents:
                    key = f"file-{self.session}-{reads[name]}"
                    contents[reads[name]] = self.client.submit(_same, data, key=key)
            future = self.client.submit(
                _done, work, task.arguments, reads, {d: contents[d] for d in reads.values()},
                self.needs, wanted, self.session,
                key=f"{work.__name__.strip('_')}-{uuid.uuid4().hex}",
            )  # fmt: skip
            futures[future] = number
        values: list[Any] = [None] * len(tasks)
        try:
            for future, workers in self._ended(list(futures)):
                number = futures[future]
                task = tasks[number]
                done = self._result(future, task)
                _bring(done, task.folder)
                values[number] = done.value
                if finished is not None:
                    finished(number, done.value)
                ended = UNITS * sum(f.done() for f in futures)
                progress(ended, UNITS * len(tasks), f"{task.name}, {workers} workers")
                future.release()
        finally:
            self._give_up([*futures, *contents.values()])
        return values

    def _ended(self, left: list[Any]) -> Iterator[tuple[Any, int]]:
        """Each future once as it ends, and how many workers there are."""
        from distributed import wait

        seen = time.monotonic()
        workers = 1
        while left:
            try:
                with self.client.as_current():
                    ended = wait(left, timeout=POLL, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                ended = set()
            except OSError as error:
                raise self._lost(error) from None
            for future in [f for f in left if f in ended]:
                yield future, workers
            left = [f for f in left if f not in ended]
            try:
                workers = len(self.client.nthreads()) if left else workers
            except OSError as error:
                raise self._lost(error) from None
            now = time.monotonic()
            seen = now if workers else seen
            if now - seen > ALONE:
                raise ToolError(
                    f"scheduler {self.address} must keep a worker, got none for {ALONE:g} s: start "
                    f"some with `{START.format(self.address)}`, and do the command again"
                )

    def _result(self, future: Any, task: Task) -> Done:
        from distributed import CancelledError, KilledWorker

        try:
            done: Done = future.result()
        except KilledWorker as error:
            raise ToolError(
                f"task {task.name} must end on some worker, got one after the other that died of "
                f"it ({error.last_worker.address} last): look at that worker's log, and whether "
                "its memory is enough"
            ) from None
        except (CancelledError, OSError) as error:
            if isinstance(error, OSError) and future.status == "error":
                raise  # the task's own
            raise self._lost(error) from None
        return done

    def _lost(self, error: BaseException) -> ToolError:
        return ToolError(
            f"scheduler {self.address} must stay until the last task, got lost "
            f"({type(error).__name__}): start it again and do the command again"
        )

    def _give_up(self, futures: Sequence[Any]) -> None:
        try:
            self.client.cancel([f for f in futures if f.key in self.client.futures], force=True)
        except Exception:  # the scheduler has gone, and so have its tasks
            logging.getLogger("distributed").debug("nothing to cancel")


def _crowded(worker: str, threads: int, address: str) -> ToolError | None:
    """Tasks seed generators of their process, so there is one at a time."""
    if threads == 1:
        return None
    return ToolError(
        f"worker {worker} must have one thread, got {threads}: start it with "
        f"`{START.format(address)}`"
    )


def _files(folder: Path, names: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """The files that a task reads, with their names in its folder."""
    for name in names:
        path = folder / name
        if path.is_dir():
            yield from ((f"{name}/{inner}" if name != "." else inner, p) for inner, p in walk(path))
        elif path.is_file():
            yield name, path


def _bring(done: Done, folder: Path) -> None:
    """Write the files of a task where it would have written them here."""
    for name, (digest, data) in sorted(done.files.items()):
        assert alike.digest(data) == digest, f"{name} has changed on its way"
        with writing(folder / name) as stream:
            stream.write(data)


# ---------------------------------------------------------------------- on a worker


def _same(data: bytes) -> bytes:
    return data


def _done(
    work: Work,
    arguments: tuple[Any, ...],
    reads: Mapping[str, str],
    contents: Mapping[str, bytes],
    needs: Needs,
    wanted: Mapping[str, str],
    session: str,
) -> Done:
    """Do a task on a worker, in a folder of its own.

    Raises:
        ExeuntError: the worker is not like the machine that asks, or the task's own.
    """
    from distributed import get_worker

    worker = get_worker()
    scheduler = worker.scheduler.address
    wrong: ExeuntError | None = _crowded(worker.address, worker.state.nthreads, scheduler)
    wrong = wrong or alike.compare(worker.address, alike.seen(needs, session), wanted, needs)
    if wrong is not None:
        raise wrong
    with tempfile.TemporaryDirectory(prefix="exeunt-", dir=worker.local_directory) as scratch:
        folder = Path(scratch)
        for name, digest in reads.items():
            assert alike.digest(contents[digest]) == digest, f"{name} has changed on its way"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(contents[digest])
        value = work(folder, *arguments, progress=silent)
        files = {}
        for name, path in walk(folder):
            data = path.read_bytes()
            digest = alike.digest(data)
            if reads.get(name) != digest:
                files[name] = (digest, data)
        return Done(value, files)
