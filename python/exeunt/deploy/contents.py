"""What goes into a deploy package: driver, network, vectors, bitstream, notebook, instructions."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exeunt import __version__
from exeunt import manifest as manifests
from exeunt.bench import floats, processor
from exeunt.bench.network import EXITS, Network
from exeunt.deploy.archive import EPOCH
from exeunt.errors import ExeuntError, InputError
from exeunt.reference import controller
from exeunt.reference import network as reference
from exeunt.reference.golden import make
from exeunt.runtime import golden
from exeunt.splits import SPLITS, turns

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

NETWORK = "network"
GOLDEN = "golden.npz"
BOARD = "board.json"
GOLDEN_IMAGES = 256
RAW_IMAGES = 4
"""Golden images whose logits are compared too."""

MODULES = (
    "__init__.py",
    "errors.py",
    "graph.py",
    "manifest.py",
    "packing.py",
    "progress.py",
    "hold.py",
    "promise.py",
    "registers.py",
    "splits.py",
    "window.py",
)
PACKAGES = ("criteria", "kernels", "reference", "rules", "runtime", "bench")
LEFT_OUT = ("bench/step.py", "bench/floats.py")
"""Of these packages, what needs more than NumPy and is of no use on a board."""


def driver() -> dict[str, bytes]:
    """The part of this package that needs NumPy alone: path below exeunt/ -> bytes."""
    root = resources.files("exeunt")
    found = {name: root.joinpath(name).read_bytes() for name in MODULES}
    for package in PACKAGES:
        found |= _sources(root.joinpath(package), package)
    return {name: data for name, data in found.items() if name not in LEFT_OUT}


def _sources(folder: Traversable, path: str) -> dict[str, bytes]:
    """The Python files of a package and of those in it: path -> bytes."""
    found: dict[str, bytes] = {}
    for entry in folder.iterdir():
        name = f"{path}/{entry.name}"
        if entry.is_dir():
            found |= _sources(entry, name)
        elif entry.name.endswith(".py"):
            found[name] = entry.read_bytes()
    return found


def array_file(arrays: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """A compressed .npz with the same bytes for the same arrays, which `np.savez` does not give."""
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(arrays):
            data = io.BytesIO()
            np.lib.format.write_array(data, np.ascontiguousarray(arrays[name]), version=(1, 0))
            entry = zipfile.ZipInfo(f"{name}.npy", EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data.getvalue())
    return out.getvalue()


def network(found: Network) -> dict[str, bytes]:
    """Manifest, parameters, calibration and test images: path below network/ -> bytes."""
    contents = {
        manifests.NAME: (found.folder / manifests.NAME).read_bytes(),
        manifests.PARAMETERS: (found.folder / manifests.PARAMETERS).read_bytes(),
        SPLITS: array_file({"test_images": found.images, "test_labels": found.labels}),
    }
    if (found.folder / EXITS).is_file():
        contents[EXITS] = (found.folder / EXITS).read_bytes()
    return contents


def pieces(folder: Path) -> tuple[dict[str, bytes], str]:
    """The network for onnxruntime, and why it is not there ("" when it is)."""
    model = folder / processor.MODEL
    if not model.is_file():
        return {}, f"there is no {processor.MODEL}"
    contents = {}
    try:
        for quantizers in processor.MEANING:
            for i, piece in enumerate(floats.read(model, quantizers)):
                contents[f"{processor.PIECES}/{quantizers}-{i}.onnx"] = piece.model
    except ImportError:
        return {}, "onnx is not installed here"
    except ExeuntError as error:
        return {}, str(error)
    return contents, ""


def of_every_exit(found: Network, count: int) -> npt.NDArray[np.int64]:
    """Indices of up to `count` images, ascending: exits take turns, and classes within each."""
    outputs = reference.run(found.accelerator, found.images)
    logits = outputs.logits
    whole = found.accelerator
    left = controller.decide(
        logits, found.thresholds, criterion=whole.criterion, scales=whole.logit_scales,
        offsets=whole.offsets, looks=outputs.looks,
    ).exits  # fmt: skip
    turn = np.zeros(len(left), np.int64)
    for i in range(len(logits)):
        here = np.flatnonzero(left == i)
        mixed = here[np.argsort(turns(found.labels[here]), kind="stable")]
        turn[mixed] = np.arange(len(mixed))
    return np.sort(np.lexsort((left, turn))[:count]).astype(np.int64)


def vectors(found: Network) -> bytes:
    """Golden vectors: images of every exit, some with their logits, as `selftest` takes them."""
    import tempfile

    chosen = of_every_exit(found, GOLDEN_IMAGES)
    made = make(found.folder, found.images[chosen], logits=min(RAW_IMAGES, len(chosen)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / GOLDEN
        golden.write(path, made)
        return path.read_bytes()


def bitstream(
    run_dir: Path, board: str, design_hash: int, entries: list[Mapping[str, Any]]
) -> tuple[dict[str, bytes], float | None]:
    """The bitstream of a board with its .hwh, nothing when there is none; and its clock in MHz.

    Args:
        run_dir: the run folder.
        board: its name.
        design_hash: of the manifest.
        entries: `synthesis` of report.json.

    Raises:
        InputError: it was made of another compile.
    """
    entry = next((e for e in entries if e.get("board") == board), None)
    if entry is None or not entry.get("bitstream"):
        return {}, None
    path = run_dir / str(entry["bitstream"])
    if not path.is_file():
        return {}, None
    if entry.get("design_hash") != design_hash:
        raise InputError(
            f"bitstream {path} must be of this compile, got one of design "
            f"{entry.get('design_hash')} instead of {design_hash}: do "
            f"`exeunt bitstream --board {board}` again"
        )
    contents = {path.name: path.read_bytes()}
    handoff = path.with_suffix(".hwh")
    if handoff.is_file():
        contents[handoff.name] = handoff.read_bytes()
    return contents, float(entry["clock_mhz"]) if entry.get("clock_mhz") else None


def board_file(facts: Mapping[str, Any], bits: Mapping[str, bytes], *, without: str) -> bytes:
    """board.json: what driver and benchmark must know of the board."""
    name = next((n for n in sorted(bits) if n.endswith(".bit")), None)
    data = {**facts, "bitstream": name, "without_onnxruntime": without}
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()


def template(name: str, values: Mapping[str, str]) -> bytes:
    """A file of this package's files/, with {{NAME}} replaced."""
    text = resources.files("exeunt.deploy").joinpath("files", name).read_text(encoding="utf-8")
    for key, value in {**values, "VERSION": __version__}.items():
        text = text.replace("{{" + key + "}}", value)
    return text.encode()


def notebook() -> bytes:
    """The notebook."""
    return resources.files("exeunt.boards").joinpath("notebooks", "exeunt.ipynb").read_bytes()
