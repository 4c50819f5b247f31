"""One process of a bulk simulation: `python -m exeunt.simulate.worker JOB.json`.

The job names the library, the folder with the memory-init files, the packed images, the registers
to write, and those to read afterwards, as they are at a snapshot. Progress goes to stdout as lines
of "results cycles", the outcome to an .npz.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from exeunt import registers
from exeunt.errors import ExeuntError
from exeunt.simulate.library import Model, Trace, Words

FAILED = 3
SETTLED = 8


def save(path: Path, trace: Trace, *, seconds: float, processor: float) -> None:
    """Write a trace as .npz."""
    columns: dict[str, Any] = {
        "results": trace.results,
        "result_cycles": trace.result_cycles,
        "accepts": trace.accepts,
        "cycles": np.int64(trace.cycles),
        "complete": np.bool_(trace.complete),
        "seconds": np.float64(seconds),
        "processor": np.float64(processor),
        "reads": np.array(trace.reads, np.int64),
        **{f"map_{name}": column for name, column in vars(trace.maps).items()},
    }
    for i, (cycles, takes) in enumerate(zip(trace.decides, trace.takes, strict=True)):
        columns[f"decides{i}"] = cycles
        columns[f"takes{i}"] = takes
    np.savez(path, **columns)


def load(path: Path) -> tuple[Trace, float, float]:
    """Read what `save` wrote: the trace, its wall time and its processor time in seconds."""
    with np.load(path) as data:
        exits = sum(name.startswith("decides") for name in data.files)
        trace = Trace(
            results=data["results"],
            result_cycles=data["result_cycles"],
            accepts=data["accepts"],
            decides=tuple(data[f"decides{i}"] for i in range(exits)),
            takes=tuple(data[f"takes{i}"] for i in range(exits)),
            cycles=int(data["cycles"]),
            complete=bool(data["complete"]),
            maps=Words(data["map_data"], data["map_cycles"], data["map_lasts"]),
            reads=tuple(data["reads"].tolist()),
        )
        return trace, float(data["seconds"]), float(data["processor"])


def run(job: dict[str, Any]) -> None:
    """Do one job."""
    words = np.load(job["words"], mmap_mode="r")[job["first"] : job["end"]]
    os.chdir(job["folder"])

    def tell(results: int, cycles: int) -> None:
        print(results, cycles, flush=True)

    waves = Path(job["waves"]) if job.get("waves") else None
    with Model(Path(job["library"]), taps=job.get("taps", 0), waves=waves) as model:
        model.reset()
        for address, value in job["writes"]:
            model.write(address, value)
        model.settle()
        for tap in job.get("windows", ()):
            model.window(tap["tap"], width=tap["width"], first=tap["first"], end=tap["end"])
        start, used = time.perf_counter(), time.process_time()
        trace = model.run(
            np.ascontiguousarray(words),
            frames=job["frames"],
            exits=job["exits"],
            limit=job["limit"],
            idle=job.get("idle", 0.0),
            spacing=job.get("spacing", 0),
            stall=job.get("stall", 0.0),
            seed=job.get("seed", 0),
            linger=job.get("linger", 0),
            map_stall=job.get("map_stall", 0.0),
            waves=tuple(job.get("wave_cycles", (0, 1 << 62))),
            progress=tell,
        )
        seconds, processor = time.perf_counter() - start, time.process_time() - used
        if job.get("reads"):
            for _ in range(SETTLED):  # what the last result changes comes some cycles later
                model.read(registers.address("id"))
            snapshot = registers.BY_NAME["control"].fields["snapshot"].put(1)
            model.write(registers.address("control"), snapshot)
            trace = dataclasses.replace(trace, reads=tuple(map(model.read, job["reads"])))
        if job.get("taps"):
            kept: dict[str, Any] = {}
            for tap in job["windows"]:
                found, cycles = model.tapped(tap["tap"], width=tap["width"])
                kept[f"words{tap['tap']}"] = found
                kept[f"cycles{tap['tap']}"] = cycles
            np.savez(job["tapped"], **kept)
    save(Path(job["out"]), trace, seconds=seconds, processor=processor)


def main() -> int:
    """Run the job named on the command line."""
    try:
        run(json.loads(Path(sys.argv[1]).read_text()))
    except ExeuntError as error:
        print(error, file=sys.stderr)
        return FAILED
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
