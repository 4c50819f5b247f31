"""One run of a tool that takes minutes: its log is read while it runs, and an end is an end."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol

from exeunt.errors import ToolError

POLL = 0.2  # seconds between two looks at the log
LAST_LINES = 8


class Told(Protocol):
    """Told of the share of a run that is done, and of what is being done."""

    def __call__(self, share: float, text: str) -> None:
        """Hear that `share` (0 to 1) is done."""


def nobody(share: float, text: str) -> None:
    """The `Told` that nobody hears."""


@dataclass(frozen=True)
class Ran:
    """A finished run: its exit code, its log, and what it printed."""

    code: int
    said: str
    printed: str

    @property
    def why(self) -> str:
        """The last lines of what it said, to be put into a sentence."""
        lines = (self.printed.strip() or self.said.strip()).splitlines()[-LAST_LINES:]
        return " / ".join(line.strip() for line in lines)[-400:]

    @property
    def ended(self) -> str:
        """How it ended, in words."""
        return f"signal {-self.code}" if self.code < 0 else f"exit code {self.code}"


def run(
    name: str,
    command: Sequence[str],
    folder: Path,
    log: Path,
    *,
    heard: Callable[[str], None],
    stop: Event | None = None,
) -> Ran:
    """Run `command` in `folder` to its end; an interrupt ends it and all that it started.

    Args:
        name: the tool's, for the sentence when it does not start.
        command: the program and its arguments.
        folder: its working folder.
        log: the file that it writes its log to, a line at a time; one of before is removed.
        heard: given the new lines of the log, several times a second, also when there are none.
        stop: kills the run when it is set.

    Raises:
        ToolError: it does not start.
    """
    log.unlink(missing_ok=True)
    with tempfile.TemporaryFile() as printed:
        try:
            running = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # it may start others, which an interrupt must reach too
            )
        except OSError as error:
            raise ToolError(
                f"{name} must start, got {error.strerror} from {command[0]}: install it again"
            ) from None
        seen = 0
        try:
            while running.poll() is None and not (stop is not None and stop.is_set()):
                time.sleep(POLL)
                lines, seen = _lines(log, seen)
                heard(lines)
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
        said = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
        printed.seek(0)
        return Ran(running.returncode, said, printed.read().decode("utf-8", errors="replace"))


def _lines(log: Path, seen: int) -> tuple[str, int]:
    """The whole lines behind byte `seen` of the log, and where the next ones begin."""
    try:
        with log.open("rb") as stream:
            stream.seek(seen)
            data = stream.read()
    except FileNotFoundError:
        return "", seen
    whole = data.rfind(b"\n") + 1
    return data[:whole].decode("utf-8", errors="replace"), seen + whole
