"""The deploy step: everything that a board needs, in one archive with the same bytes each time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exeunt.bench.network import load
from exeunt.bench.step import facts as board_facts
from exeunt.deploy import archive, contents
from exeunt.progress import Progress, silent
from exeunt.report import store
from exeunt.runtime.packets import KEY as EXPLAIN

if TYPE_CHECKING:
    from exeunt.config.tree import Config

FOLDER = "deploy"
IMAGES = 1000
"""Test images that go with it unless another number is asked for."""

MAPS = """The accelerator gives heat maps itself ({methods}):

```python
with opened("network") as device, np.load("network/splits.npz") as data:
    results = device.accelerator.explain(data["test_images"][:8])
    for image, heat in results.maps.items():
        print(image, heat.class_, heat.exit, heat.values.shape, abs(heat.values).max())
```

"""
"""What the README says of an accelerator that explains."""


def path_of(config: Config, run_dir: Path, board: str, chosen: str = "") -> Path:
    """Where the archive goes."""
    return Path(chosen) if chosen else Path(run_dir) / FOLDER / f"{config.name}-{board}.zip"


def deploy(
    config: Config,
    run_dir: Path,
    *,
    board: str,
    archive_path: str = "",
    images: int | None = None,
    progress: Progress = silent,
) -> None:
    """Write deploy/<name>-<board>.zip and `deploy` of report.json.

    Args:
        config: of the run.
        run_dir: the run folder, compiled.
        board: a board's name.
        archive_path: of the archive, where not in the run folder.
        images: test images that go with it (0: all; by default up to 1000).
        progress: told what is being done.

    Raises:
        InputError: not compiled, no such board, a bitstream of another compile, or an archive that
            cannot be written.
    """
    run_dir = Path(run_dir)
    facts = board_facts(board, run_dir)
    path = path_of(config, run_dir, facts["name"], archive_path)
    progress(0, 3, "golden vectors")
    network = load(run_dir)
    if images is None:
        images = min(IMAGES, len(network.images))
    if images:
        network = load(run_dir, images=images)
    golden = contents.vectors(network)
    progress(1, 3, "the network for onnxruntime")
    pieces, without = contents.pieces(run_dir)
    entries = store.read(run_dir).get("synthesis", [])
    design = int(network.manifest.data["design_hash"])
    bits, clock = contents.bitstream(run_dir, facts["name"], design, entries)
    facts["clock_mhz"] = clock or facts["clock_mhz"]
    files = {f"exeunt/{name}": data for name, data in contents.driver().items()}
    inside = {
        **contents.network(network),
        **pieces,
        **bits,
        contents.GOLDEN: golden,
        contents.BOARD: contents.board_file(facts, bits, without=without),
    }
    files |= {f"{contents.NETWORK}/{name}": data for name, data in inside.items()}
    files |= _texts(config, facts, bits, network.manifest.data.get(EXPLAIN))
    progress(2, 3, "the archive")
    data = archive.pack(files, top=path.stem)
    archive.save(path, data)
    said = {
        "board": facts["name"],
        "archive": path.name if archive_path else path.relative_to(run_dir).as_posix(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "bitstream": next((n for n in sorted(bits) if n.endswith(".bit")), None),
        "design_hash": design,
        "images": len(network.images),
        "onnxruntime": not without,
    }
    store.put(run_dir, "deploy", "board", [said])
    told = "" if said["bitstream"] else ", without a bitstream"
    progress(3, 3, f"{path.name}, {len(data) / 1e6:.1f} MB{told}")


def _texts(
    config: Config,
    facts: Mapping[str, Any],
    bits: Mapping[str, bytes],
    explained: Mapping[str, Any] | None,
) -> dict[str, bytes]:
    """Notebook, bench.py, README and what pip needs, filled in for this board.

    `explained`: what the manifest says of heat maps, if the accelerator gives some.
    """
    serial = facts["flow"] == "nextpnr"
    name = next((n for n in sorted(bits) if n.endswith(".bit")), None)
    sensors = [r for r in (facts["sensors"]["total"], *facts["sensors"]["rails"]) if r]
    if serial:
        run = "The board is at a serial port of this computer: `pip install pyserial`, load the\n"
        run += "bitstream (`openFPGALoader -b ulx3s network/*.bit` or `fujprog`), then name the\n"
        run += "port with `--port /dev/ttyUSB0`."
    else:
        run = "Run it as root, or as the user of the board's Jupyter, in the environment of its\n"
        run += "PYNQ image: `source /etc/profile.d/pynq_venv.sh` before."
    values = {
        "NAME": config.name,
        "BOARD": str(facts["name"]),
        "TITLE": str(facts["title"]),
        "CLOCK": f"{facts['clock_mhz']:g}",
        "PREFIX": "" if serial else "sudo -E ",
        "PORT": " --port /dev/ttyUSB0" if serial else "",
        "RUN": run,
        "MAPS": MAPS.format(methods=", ".join(explained["methods"])) if explained else "",
        "BITSTREAM": f"The bitstream is `network/{name}`."
        if name
        else "There is no bitstream in it: `exeunt bitstream --board "
        f"{facts['name']}` makes one, then deploy again.",
        "ENERGY": f"Energy is read from the rails {', '.join(sensors)}."
        if sensors
        else "This board has no power sensors: give `--watts` and `--idle-watts` from a meter.",
    }
    files = ("README.md", "bench.py", "pyproject.toml", "_build.py")
    made = {file: contents.template(f"{file}.in", values) for file in files}
    return {**made, "exeunt.ipynb": contents.notebook()}
