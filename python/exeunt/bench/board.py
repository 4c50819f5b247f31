"""The command of a deploy package: `python3 bench.py`, on a board with NumPy alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from exeunt.bench import collect, devices
from exeunt.bench.network import load
from exeunt.errors import ExeuntError, InputError


def parser() -> argparse.ArgumentParser:
    """The options of bench.py."""
    made = argparse.ArgumentParser(
        prog="bench.py", description="Images a second, latency and energy of this network."
    )
    made.add_argument(
        "--device",
        default="board",
        choices=("board", "modelled"),
        help="board: the real one; modelled: the references answer for it",
    )
    made.add_argument("--port", default="", help="serial port of the board, where it has one")
    made.add_argument("--selftest", action="store_true", help="only compare the golden vectors")
    made.add_argument("--images", type=int, default=0, help="of the test set (0: all)")
    made.add_argument("--repeats", type=int, default=3, help="passes, of which the median counts")
    made.add_argument("--seconds", type=float, default=2.0, help="of work for a power reading")
    made.add_argument("--no-sweep", action="store_true", help="only the calibrated thresholds")
    made.add_argument("--energy", action="store_true", help="fail when it cannot be measured")
    made.add_argument("--no-energy", action="store_true", help="do not measure it")
    made.add_argument("--watts", type=float, help="under load, from an external meter")
    made.add_argument("--idle-watts", type=float, help="idle, from an external meter")
    made.add_argument("--threads", type=int, default=0, help="of onnxruntime (0: one a core)")
    made.add_argument("--out", default="bench", help="writes OUT.json and OUT.csv")
    return made


def options(given: argparse.Namespace) -> collect.Options:
    """What was asked for.

    Raises:
        InputError: a number out of range.
    """
    for name, low in (("images", 0), ("repeats", 1), ("threads", 0)):
        value = getattr(given, name)
        if value < low:
            raise InputError(f"--{name} must be at least {low}, got {value}: raise it")
    if not 0.1 <= given.seconds <= 600:
        raise InputError(
            f"--seconds must be 0.1 to 600, got {given.seconds:g}: two are enough for most boards"
        )
    return collect.Options(
        images=given.images,
        repeats=given.repeats,
        seconds=given.seconds,
        sweep=not given.no_sweep,
        energy=True if given.energy else False if given.no_energy else None,
        watts=given.watts,
        idle_watts=given.idle_watts,
        threads=given.threads,
    )


def run(folder: Path, given: argparse.Namespace) -> None:
    """Measure, print the figures and write them.

    Raises:
        ExeuntError: whatever keeps it from being done, in one sentence.
    """
    asked = options(given)
    with devices.opened(folder, given.device, port=given.port) as device:
        if given.selftest:
            found = device.accelerator.selftest(device.golden())
            print(f"self-test: {found.images} images, every answer as expected")
            return
        data = collect.collect(
            load(folder, images=asked.images),
            device.accelerator,
            now=device.transport.now,
            transport=device.kind,
            board=device.board,
            options=asked,
            vectors=device.golden(),
            progress=_tell,
        )
    print(collect.text(data))
    out = Path(given.out)
    for path in collect.write(out.parent, out.name, data):
        print(path)


def _tell(done: int, total: int, text: str = "") -> None:
    if text and sys.stderr.isatty():
        print(f"{text} ...", file=sys.stderr)


def main(arguments: Sequence[str] | None = None, *, folder: Path) -> int:
    """The exit code: 0 good, 1 a check failed, 2 the input is wrong, 3 a tool is missing."""
    given = parser().parse_args(arguments)
    try:
        run(folder, given)
    except ExeuntError as error:
        print(f"bench.py: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("bench.py: interrupted", file=sys.stderr)
        return 130
    return 0
