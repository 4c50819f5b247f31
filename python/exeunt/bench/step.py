"""The bench step: measure a board, or the simulated or modelled device, into the run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exeunt import manifest as manifests
from exeunt.bench import collect, devices
from exeunt.bench.network import load
from exeunt.errors import InputError
from exeunt.progress import Progress, silent
from exeunt.report import store

if TYPE_CHECKING:
    from exeunt.config.tree import Config

FOLDER = "bench"
VIRTUAL = ("simulated", "modelled")


def chosen(board: str, simulated: bool, modelled: bool) -> str:
    """The one device that was asked for: a board's name, "simulated" or "modelled".

    Raises:
        InputError: none, more than one, or there is no such board.
    """
    from exeunt.boards import targets

    asked = [name for name, wanted in zip(VIRTUAL, (simulated, modelled), strict=True) if wanted]
    if board:
        asked.append(targets.load(board).name)
    if len(asked) != 1:
        raise InputError(
            "bench must be told one of --board, --simulated and --modelled, got "
            f"{' and '.join(asked) or 'none'}: give one of them"
        )
    return asked[0]


def told(run_dir: Path, name: str) -> str:
    """The figures in bench/<name>.json for a terminal."""
    return collect.text(json.loads((run_dir / FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def facts(name: str, run_dir: Path) -> dict[str, Any]:
    """What the benchmark must know of a board, as in board.json of a deploy package.

    Raises:
        InputError: there is no such board.
    """
    from exeunt.boards import targets

    board = targets.load(name)
    entries = store.read(run_dir).get("synthesis", [])
    made: Mapping[str, Any] = next((e for e in entries if e.get("board") == board.name), {})
    return {
        "name": board.name,
        "title": board.title,
        "flow": board.flow,
        "clock_mhz": made.get("clock_mhz") or board.clock_mhz,
        "sensors": {"total": board.sensors.total, "rails": list(board.sensors.rails)},
        "bitstream": made.get("bitstream"),
        **({"baud": made["baud"]} if made.get("baud") else {}),
    }


def bench(
    config: Config,
    run_dir: Path,
    *,
    board: str = "simulated",
    port: str = "",
    file: str = "",
    progress: Progress = silent,
    **asked: Any,
) -> None:
    """Measure, and write bench/<board>.json, .csv and `bench` of report.json.

    Args:
        config: of the run.
        run_dir: the run folder, compiled.
        board: a board's name, "simulated" or "modelled".
        port: serial port of a board that has one.
        file: what bench.py of the deploy package wrote on the board; nothing is measured then.
        progress: told what is being done.
        asked: fields of `collect.Options`.

    Raises:
        InputError: not compiled, no such board, energy where it cannot be measured, or a file that
            is not of this network.
        CheckFailed: an answer is not the reference's.
        ToolError: what is needed to reach the device is not installed, or it did not answer.
    """
    del config
    run_dir = Path(run_dir)
    known = {f.name for f in fields(collect.Options)}
    options = collect.Options(**{k: v for k, v in asked.items() if k in known and v is not None})
    found = None if board in VIRTUAL else facts(board, run_dir)
    if file:
        data = taken(Path(file), run_dir, found["name"] if found else board)
    else:
        network = load(run_dir, images=options.images)
        virtual = {"name": board, "clock_mhz": devices.assumed_mhz(run_dir), "sensors": {}}
        unit = "cycles" if found is None else "s"
        if found is None or not any(found["sensors"].values()):  # refuse before long work
            collect.meter(options, unit=unit, sensors={}, board=str((found or virtual)["name"]))
        device = board if found is None else "board"
        with devices.opened(run_dir, device, board=found or virtual, port=port) as opened:
            data = collect.collect(
                network,
                opened.accelerator,
                now=opened.transport.now,
                transport=opened.kind,
                board=opened.board,
                options=options,
                vectors=opened.golden(),
                progress=progress,
            )
    collect.write(run_dir / FOLDER, data["board"], data)
    store.update(run_dir, {"bench": summary(data)})
    progress(
        100,
        100,
        f"{data['images']:,} images, {data['mismatches']} mismatches, "
        f"{data['images_per_second']:,.0f} images a second",
    )


def summary(data: Mapping[str, Any]) -> dict[str, Any]:
    """`bench` of report.json: everything but the curves."""
    exits = [{k: v for k, v in row.items() if k != "quantiles_loaded"} for row in data["exits"]]
    return {**data, "exits": exits}


def taken(path: Path, run_dir: Path, board: str) -> dict[str, Any]:
    """The figures in a file that bench.py wrote on the board.

    Raises:
        InputError: no such file, not such a file, or of another network or board.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "something else"
        raise InputError(
            f"file {path} must be what bench.py wrote, got {str(reason).lower()}: copy it from the "
            "board"
        ) from None
    if not isinstance(data, dict) or not {"schema", "sweep", "cpu_baseline"} <= set(data):
        raise InputError(
            f"file {path} must be what bench.py wrote, got other JSON: copy it from the board"
        )
    current = manifests.read(run_dir, verify=False).hash
    for what, got, wanted in (
        ("manifest", data.get("manifest"), current),
        ("board", data.get("board"), board),
    ):
        if got != wanted:
            raise InputError(
                f"file {path} must be of {what} {str(wanted)[:12]}, got {str(got)[:12]}: measure "
                "this network on this board"
            )
    return data
