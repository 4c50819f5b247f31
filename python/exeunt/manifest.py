"""manifest.json: every number that hardware, tests and driver share, and the hash that guards it.

The stitcher writes it beside the RTL it describes; simulation, synthesis and driver read it and
type none of its numbers again. A folder whose RTL no longer is what the manifest recorded is
refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exeunt import graph, hold
from exeunt.errors import InputError
from exeunt.graph import Accelerator, Node, Stream
from exeunt.kernels import registry

SCHEMA = 1
NAME = "manifest.json"
PARAMETERS = "rtl/params.npz"
ZERO = "0" * 64


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read and verified: its `folder` and its plain JSON `data`."""

    folder: Path
    data: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """Hex sha256 of the manifest, computed with this field zero."""
        return str(self.data["hash"])

    @property
    def thresholds(self) -> tuple[int, ...]:
        """Signed 32 bit threshold register of every exit; the last one always takes."""
        return tuple(int(e["threshold"]) for e in self.data["exits"])

    @property
    def look_thresholds(self) -> tuple[int, ...]:
        """Signed threshold of exit 0 after each further look.

        Their registers are between those of the other exits and the last one's.
        """
        looks = self.data.get("rules", {}).get("set", {}).get("looks", ())
        return tuple(int(look["threshold"]) for look in looks)

    @property
    def criterion(self) -> str:
        """What the exits go by, see `exeunt.criteria`."""
        return str(self.data["exits"][0]["criterion"])

    @property
    def logit_scales(self) -> tuple[float, ...]:
        """What a logit of 1 stands for at each exit."""
        return tuple(float(e["logit_scale"]) for e in self.data["exits"])

    @property
    def offsets(self) -> tuple[tuple[int, ...], ...]:
        """Per exit, of each class: what is taken off the score; none: nothing is."""
        return tuple(tuple(e["offsets"]) for e in self.data["exits"] if "offsets" in e)

    @property
    def hold(self) -> hold.Hold | None:
        """What thresholds follow when that is turned on; None: they cannot."""
        found = self.data.get(hold.KEY)
        return None if found is None else hold.from_json(found)

    @property
    def sources(self) -> tuple[Path, ...]:
        """The SystemVerilog files in the order of design.f."""
        return tuple(self.folder / name for name in self.data["sources"])

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every kernel of the compiled graph, without weights and thresholds."""
        return _nodes(self.data)

    def accelerator(self) -> Accelerator:
        """The compiled graph with its weights and thresholds."""
        with np.load(self.folder / PARAMETERS, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return graph.from_json(self.data["graph"], arrays, registry.nodes())


def _nodes(data: Mapping[str, Any]) -> tuple[Node, ...]:
    chains = [*data["graph"]["segments"], *data["graph"]["heads"]]
    kinds = registry.nodes()
    return tuple(graph.node_from_json(n, kinds) for chain in chains for n in chain["nodes"])


def stream_entry(stream: Stream) -> dict[str, Any]:
    """JSON description of a stream: shape, element type, lanes, words a frame, bits a word."""
    return {
        "shape": list(stream.shape),
        "bits": stream.dtype.bits,
        "signed": stream.dtype.signed,
        "lanes": stream.lanes,
        "words": stream.words,
        "width": stream.width,
    }


def file_hash(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def content_hash(data: Mapping[str, Any]) -> str:
    """Hex sha256 of the manifest's canonical JSON with its own `hash` field zero."""
    text = json.dumps({**data, "hash": ZERO}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def write(folder: Path, data: Mapping[str, Any]) -> Manifest:
    """Complete `data` with schema, file hashes and own hash, and write `folder`/manifest.json.

    Args:
        folder: the run folder; `data["files"]` lists the guarded files relative to it.
        data: everything else, plain JSON values.
    """
    full = dict(data)
    full["schema"] = SCHEMA
    full["files"] = {name: file_hash(folder / name) for name in sorted(data["files"])}
    full["hash"] = ZERO
    full["hash"] = content_hash(full)
    target = folder / NAME
    part = target.with_suffix(".part")
    part.write_text(json.dumps(full, indent=1, sort_keys=True) + "\n")
    part.replace(target)
    return Manifest(folder, full)


def read(folder: Path, *, verify: bool | Collection[str] = True) -> Manifest:
    """Read `folder`/manifest.json and check it against the files it describes.

    Args:
        folder: the run folder.
        verify: compare every recorded file hash (else only the manifest itself), or those of the
            named files alone.

    Raises:
        InputError: the manifest or a file is missing, of another schema, or was changed by hand.
    """
    path = folder / NAME
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(
            f"{folder} must hold a {NAME} and has none; run `exeunt compile` first."
        ) from None
    except (ValueError, UnicodeDecodeError):
        raise InputError(
            f"{path} must be a JSON file and cannot be read as one; run `exeunt compile` again."
        ) from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        seen = data.get("schema") if isinstance(data, dict) else type(data).__name__
        raise InputError(
            f"{path} must have schema {SCHEMA} and has {seen}; run `exeunt compile` again."
        )
    expected = content_hash(data)
    if data.get("hash") != expected:
        raise InputError(
            f"{path} must hash to its own field {str(data.get('hash'))[:12]} and hashes to "
            f"{expected[:12]}, so it was changed by hand; run `exeunt compile` again."
        )
    if verify:
        files = data["files"]
        chosen = files if verify is True else {name: files[name] for name in verify}
        _verify(folder, chosen)
    return Manifest(folder, data)


def _verify(folder: Path, files: Mapping[str, str]) -> None:
    for name, recorded in files.items():
        path = folder / name
        if not path.is_file():
            raise InputError(
                f"{path} must exist because {NAME} lists it and is missing; "
                "run `exeunt compile` again."
            )
        seen = file_hash(path)
        if seen != recorded:
            raise InputError(
                f"{path} must have the sha256 {recorded[:12]} that {NAME} recorded and has "
                f"{seen[:12]}, so it was changed by hand; run `exeunt compile` again."
            )
