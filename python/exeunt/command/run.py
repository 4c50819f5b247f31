"""The pipeline: what must be done and what can be skipped, and who owns the folder."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from exeunt.command import checks, fingerprints
from exeunt.command.fingerprints import Digests
from exeunt.command.steps import NAMES, STEPS, Context, Step, step_of
from exeunt.errors import CheckFailed, InputError
from exeunt.files import JUNK, reason
from exeunt.progress import Progress, about, silent
from exeunt.report import document, store

if TYPE_CHECKING:
    from exeunt.config.tree import Config

STATE = ".state.json"
LOCK = ".lock"
CONFIG = "config.toml"
ASIDE = ".before"  # what a step that is running may have to put back


def default_out(config: Config) -> Path:
    """The run folder when none is named: build/<name>."""
    return Path("build") / config.name


class InUse(InputError):
    """Another process owns the run folder; `owner` says which, since when, and for how long yet."""

    def __init__(self, message: str, owner: str) -> None:
        super().__init__(message)
        self.owner = owner


@dataclass(frozen=True)
class Owner:
    """A run folder that is ours: what is written in it tells others whom they wait for."""

    handle: IO[str]

    def works(self, command: str, *, at: str = "", seconds: float | None = None) -> None:
        """Note that `command` is done here, now `at` a step of it, which may take `seconds`."""
        told = {
            "process": os.getpid(),
            "command": command,
            "at": at,
            "since": time.time(),
            "seconds": seconds,
        }
        self.handle.seek(0)
        self.handle.truncate(0)
        self.handle.write(json.dumps(told))
        self.handle.flush()


def _owner(text: str) -> str:
    """Who works in a folder, by what `Owner.works` wrote there."""
    try:
        told = json.loads(text)
        process = f"process {told['process']}"
        if not told["command"]:
            return process
        spent = time.time() - told["since"]
        details = [process, *([f"at {told['at']}"] if told["at"] else [])]
        details.append(f"{spent / 60:.0f} min so far")
        if told["seconds"] is not None:
            left = told["seconds"] - spent
            details.append(f"{about(left)} to go" if left > 0 else "longer than expected")
        return f"`exeunt {told['command']}` ({', '.join(details)})"
    except (ValueError, KeyError, TypeError):
        return "another process"


@contextmanager
def locked(run_dir: Path) -> Iterator[Owner]:
    """Own `run_dir` (made when absent) until the end of the block.

    Raises:
        InUse: another process owns it.
        InputError: it cannot be written, or it is somebody else's folder.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        strangers = sorted(p.name for p in run_dir.iterdir() if p.name not in JUNK)
        if strangers and not any((run_dir / n).exists() for n in (STATE, LOCK)):
            raise InputError(
                f"run folder {run_dir} must be empty or made by exeunt, got one with "
                f"{strangers[0]!r} in it: choose another --out"
            )
        handle = (run_dir / LOCK).open("a+")
    except (FileExistsError, NotADirectoryError):
        file = next((p for p in reversed(run_dir.parents) if p.is_file()), run_dir)
        raise InputError(
            f"run folder {run_dir} must be a folder, got the file {file}: choose another --out"
        ) from None
    except OSError as error:
        raise InputError(
            f"run folder {run_dir} must be writable, got {reason(error)}: choose another --out"
        ) from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            owner = _owner(handle.read())
            raise InUse(
                f"run folder {run_dir} must be free, got one in use by {owner}: wait for it or "
                "choose another --out; `exeunt report` works meanwhile",
                owner,
            ) from None
        owned = Owner(handle)
        owned.works("")
        try:
            yield owned
        finally:
            handle.truncate(0)


@contextmanager
def shared(run_dir: Path) -> Iterator[str]:
    """Read `run_dir`, whoever owns it: who else is at work in it, "" when nobody is.

    Raises:
        InputError: as `locked`, but for a folder that is in use.
    """
    with ExitStack() as stack:
        busy = ""
        try:
            stack.enter_context(locked(run_dir))
        except InUse as error:
            busy = error.owner
        yield busy


class State:
    """What has been done in a run folder: per step what it depended on and what it left."""

    def __init__(self, run_dir: Path, data_dir: Path | None = None) -> None:
        """Read the state of `run_dir`, empty when there is none; `data_dir` is the data folder."""
        self.run_dir, self.data_dir = run_dir, data_dir or Path("data")
        self.digests = Digests(run_dir / fingerprints.CACHE)
        self.path = run_dir / STATE
        self.running: str | None = None
        self.steps: dict[str, dict[str, Any]] = {}
        self.report = ""  # of what report.html was made
        if self.path.exists():
            try:
                data = json.loads(self.path.read_text(encoding="utf-8"))
                steps: dict[str, dict[str, Any]] = data["steps"]
                self.running = data["running"]
                # of an older release: done again
                self.steps = {k: v for k, v in steps.items() if isinstance(v["inputs"], dict)}
                self.report = str(data.get("report", ""))
            except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
                raise InputError(
                    f"state {self.path} must be what exeunt wrote, got something else: "
                    "delete it to do all steps again"
                ) from None

    def save(self) -> None:
        """Write the state whole or not at all."""
        data = {
            "schema": 1,
            "running": self.running,
            "steps": self.steps,
            "report": self.report,
        }
        store.write_text(self.path, json.dumps(data, indent=2, sort_keys=True) + "\n")
        self.digests.save()

    def parts(self, step: Step, config: Config) -> dict[str, str]:
        """What the outcome of `step` depends on now, see `fingerprints.parts`."""
        return fingerprints.parts(step, config, self.run_dir, self.data_dir, self.digests)

    def changed(self, step: Step, parts: Mapping[str, str]) -> str:
        """What has changed since `step` was done, in a few words; "" when nothing, or never."""
        entry = self.steps.get(step.name)
        return "" if entry is None else fingerprints.difference(entry["inputs"], parts)

    def outputs(self, step: Step) -> dict[str, str | None]:
        """Digests of what `step` leaves, None where there is nothing."""
        names = (*step.outputs, *step.may)
        return {name: self.digests.of(self.run_dir / name) for name in names}

    def begin(self, step: Step) -> None:
        """Note that the outputs of `step` are about to change."""
        self.steps.pop(step.name, None)
        self.running = step.name
        self.save()

    def end(self, step: Step, inputs: Mapping[str, str], seconds: float) -> None:
        """Note that `step` is done: with which inputs, and what it left."""
        outputs = self.outputs(step)
        absent = [name for name in step.outputs if outputs[name] is None]
        assert not absent, f"step {step.name} left no {absent[0]}"
        self.steps[step.name] = {
            "inputs": dict(inputs),
            "outputs": outputs,
            "reports": [key for key in step.reports if store.holds(self.run_dir, key)],
            "seconds": round(seconds, 2),
        }
        self.running = None
        self.save()

    def done(self, step: Step, inputs: Mapping[str, str]) -> bool:
        """Whether `step` need not run again.

        Raises:
            InputError: an output of it was changed by hand since.
        """
        entry = self.steps.get(step.name)
        if entry is None or entry["inputs"] != inputs:
            return False
        told = entry.get("reports", ())
        if told and not any(store.holds(self.run_dir, key) for key in told):
            return False  # report.json was deleted
        for name, found in self.outputs(step).items():
            wrote = entry["outputs"].get(name)
            if found is None and wrote is not None:
                return False
            if found != wrote:
                raise InputError(
                    f"run folder {self.run_dir}: {name} must be as `exeunt {step.name}` wrote it, "
                    f"got other contents: put it back, or make it again with `exeunt {step.name}`"
                )
        return True


def _prepare(context: Context) -> State:
    from exeunt.config import tree

    state = State(context.run_dir, context.data_dir)
    if not state.path.exists():
        state.save()
    text = tree.to_toml(context.config)
    path = context.run_dir / CONFIG
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        store.write_text(path, text)
    named = {"config_hash": tree.hash_of(context.config), "name": context.config.name}
    if not named.items() <= store.read(context.run_dir).items():
        store.update(context.run_dir, named)
    return state


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _forget(step: Step, context: Context, state: State, *, files: bool = True) -> None:
    """Remove what a step left that this config has nothing to do for; `files`: those as well."""
    if state.steps.pop(step.name, None) is not None or state.running == step.name:
        state.running = None
        state.save()
        store.discard(context.run_dir, step.reports)
        for name in step.may if files else ():
            _remove(context.run_dir / name)


def _put_aside(step: Step, run_dir: Path) -> list[str]:
    """Move away what only some configs make, which must not stay from another; their names."""
    found = [name for name in step.may if (run_dir / name).exists()]
    _remove(run_dir / ASIDE)
    if found:
        (run_dir / ASIDE).mkdir()
    for name in found:
        (run_dir / name).rename(run_dir / ASIDE / name)
    return found


def _execute(step: Step, context: Context, state: State) -> None:
    if step.name == "train":
        checks.before_training(context.config)
    started = time.monotonic()
    inputs = state.parts(step, context.config)
    before, told = state.steps.get(step.name), store.read(context.run_dir)
    state.begin(step)
    store.discard(context.run_dir, step.reports)
    aside = _put_aside(step, context.run_dir)
    try:
        step(context)
    except InputError:
        for name in aside:
            if not (context.run_dir / name).exists():
                (context.run_dir / ASIDE / name).rename(context.run_dir / name)
        # what it has not touched is still what it made of its old inputs
        if before is not None and state.outputs(step) == before["outputs"]:
            state.steps[step.name], state.running = before, None
            state.save()
            store.write_text(
                context.run_dir / store.JSON, json.dumps(told, indent=2, sort_keys=True) + "\n"
            )
        raise
    finally:
        _remove(context.run_dir / ASIDE)
    if step.outputs and before is not None and state.outputs(step) == before["outputs"]:
        store.keep(context.run_dir, step.reports, told)  # nor will a later step say it again
    state.end(step, inputs, time.monotonic() - started)
    # what later steps left from other inputs is no longer true of this network
    later = NAMES[NAMES.index(step.name.partition(":")[0]) + 1 :]
    for name, entry in list(state.steps.items()):
        if name.partition(":")[0] not in later:
            continue
        other = step_of(name)
        if entry["inputs"] != state.parts(other, context.config):
            store.discard(context.run_dir, other.reports)
            del state.steps[name]
    state.save()


def _check_ready(step: Step, context: Context, state: State) -> None:
    """Refuse to start `step` on inputs that are absent, half-written or of another config."""
    for name in step.inputs:
        maker = next((s for s in STEPS if name in s.outputs), None)
        if maker is None:
            continue
        if state.running == maker.name:
            raise InputError(
                f"run folder {context.run_dir} must have a finished `exeunt {maker.name}`, got one "
                f"that was interrupted: do `exeunt {maker.name}` again"
            )
        if not (context.run_dir / name).exists():
            raise InputError(
                f"`exeunt {step.name.partition(':')[0]}` must find {name} in {context.run_dir}, "
                f"got no such file: do `exeunt {maker.name}` first"
            )
        inputs = state.parts(maker, context.config)
        if inputs.get("data set") == fingerprints.ABSENT and maker.name in state.steps:
            inputs["data set"] = state.steps[maker.name]["inputs"]["data set"]  # nothing to compare
        changed = state.changed(maker, inputs)
        if changed:
            data = ", name the --data folder that it was made with" * (changed == "data set")
            raise InputError(
                f"{name} in {context.run_dir} must come from this {changed}, got one made with "
                f"another: do `exeunt {maker.name}` again{data} or choose another --out"
            )


Announce = Callable[[Step, str], Progress]


def _quiet(step: Step, what: str) -> Progress:
    del step, what
    return silent


def run_step(name: str, context: Context, *, announce: Announce = _quiet) -> None:
    """Do one step, whether or not it has been done before; `bitstream:zcu104` is one for a board.

    The report is written at its end, also when a check in the step does not hold.

    `announce(step, "start" | "done")` is told of it and gives the progress for the step.

    Raises:
        InputError: the folder is in use, or an input is absent, half-written or stale.
        CheckFailed: a check in the step does not hold.
        ToolError: a tool is missing or failed.
    """
    step = step_of(name)
    checks.before((step.name.partition(":")[0],), context.config)
    with locked(context.run_dir) as owner:
        state = _prepare(context)
        _check_ready(step, context, state)
        for other in STEPS:
            if not other.wanted(context.config) and other is not step:
                _forget(other, context, state, files=False)
        seconds = step.expected(context)
        owner.works(name.partition(":")[0], seconds=seconds)
        context = dataclasses.replace(context, progress=announce(step.taking(seconds), "start"))
        try:
            if not step.variants and any(v not in ("", None) for v in context.options.values()):
                step(context)  # a closer look, which leaves the step's results as they are
            else:
                _execute(step, context, state)
        except CheckFailed:
            document.write(context.run_dir)  # what was found is shown all the same
            raise
        _show(state, again=True)
        announce(step, "done")


def run_all(context: Context, *, announce: Announce = _quiet) -> tuple[str, ...]:
    """Do all steps whose inputs have changed; the names of those that were done.

    An interrupted run goes on where it stopped. A failed check does not keep the report from being
    written; it is raised behind it.

    Raises:
        InputError: the folder is in use, or something in it was changed by hand.
        CheckFailed: a check in a step does not hold.
        ToolError: a tool is missing or failed.
    """
    did = []
    failure: CheckFailed | None = None
    checks.before([s.name for s in STEPS if s.always], context.config)
    with locked(context.run_dir) as owner:
        state = _prepare(context)
        for step in STEPS:
            if not step.wanted(context.config):
                _forget(step, context, state)
                continue
            if not step.always:
                continue
            inputs = state.parts(step, context.config)
            if state.done(step, inputs):
                announce(step, "skip")
                continue
            owner.works("run", at=step.name)
            changed = state.changed(step, inputs)
            shown = dataclasses.replace(
                step, title=step.title + (f", another {changed}" if changed else "")
            )
            progress = announce(shown, "again" if state.running == step.name else "start")
            try:
                _execute(step, dataclasses.replace(context, progress=progress), state)
            except CheckFailed as error:
                failure = error
                announce(step, "failed")
                break
            did.append(step.name)
            announce(step, "done")
        _show(state, again=bool(did) or failure is not None)
    if failure is not None:
        raise failure
    return tuple(did)


def _show(state: State, *, again: bool) -> None:
    """Write report.html, unless nothing has changed since it was written."""
    from exeunt import __version__

    shown = f"{__version__} {state.digests.of(state.run_dir / store.JSON)}"
    if again or state.report != shown or not (state.run_dir / store.HTML).is_file():
        document.write(state.run_dir)
        state.report = shown
        state.save()
    state.digests.save()


def seconds(run_dir: Path) -> Mapping[str, float]:
    """How long each step took when it was last done."""
    done = State(run_dir).steps
    return {name: done[name]["seconds"] for name in NAMES if name in done}
