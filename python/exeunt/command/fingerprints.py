"""What a step depends on, as digests: its config, its inputs, a user's own files, the data set.

Contents decide, not times. A digest is remembered with the sizes and times of its files, so that
nothing is read again that has not changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exeunt.command.steps import Step
from exeunt.errors import InputError
from exeunt.files import code_files, reason, walk
from exeunt.report import store

if TYPE_CHECKING:
    from exeunt.config.tree import Config

CACHE = ".digests.json"
_CHUNK = 1 << 20
_SETTLED = 2.0  # seconds after which a change of a file must show in its times
ABSENT = "absent"


class Digests:
    """Hex SHA-256 of files and folders, remembered in a file under their sizes and times."""

    def __init__(self, cache: Path | None = None) -> None:
        """Remember in the file `cache`, or for the life of this object alone."""
        self.cache = cache
        self.known: dict[str, list[Any]] = {}  # path -> [stamp, digest, what else was found]
        self.fresh: set[str] = set()  # changed so lately that their times may not show the next
        self.changed = False
        if cache is not None:
            try:
                found = json.loads(cache.read_text(encoding="utf-8"))
                self.known = {str(k): v for k, v in found.items() if len(v) == 3}
            except (OSError, ValueError, AttributeError, TypeError):
                self.known = {}

    def of(self, path: Path) -> str | None:
        """Of a file, or of the names and contents of all files in a folder; None: absent."""
        return self.look(path)[0]

    def look(self, path: Path, more: Any = None) -> tuple[str | None, Any]:
        """As `of`, with what `more(path)` says of the file, which is remembered as well.

        Raises:
            InputError: it cannot be read.
        """
        path = Path(path)
        files = list(walk(path)) if path.is_dir() else [("", path)]
        key = os.path.realpath(path)
        try:
            stamp, newest = _stamp(files)
        except FileNotFoundError:
            return None, None
        except OSError as error:
            raise InputError(
                f"{path} must be readable, got {reason(error)}: change its permissions"
            ) from None
        entry = self.known.get(key)
        if entry is None or entry[0] != stamp or (more is not None and entry[2] is None):
            content = _content(files) if path.is_dir() else _file(path)
            entry = [stamp, content, None if more is None else more(path)]
            self.known[key], self.changed = entry, True
        if time.time() - newest < _SETTLED:
            self.fresh.add(key)
        return entry[1], entry[2]

    def save(self) -> None:
        """Write what is known to the file, for the next time; a file that cannot be is no harm."""
        if self.cache is None or not self.changed:
            return
        kept = {k: v for k, v in self.known.items() if k not in self.fresh}
        try:
            store.write_text(self.cache, json.dumps(kept, sort_keys=True) + "\n")
        except OSError:
            return
        self.changed = False


def _stamp(files: list[tuple[str, Path]]) -> tuple[str, float]:
    """A digest of names, sizes, times and places of files, and the newest of their times."""
    total, newest = hashlib.sha256(), 0
    for name, path in files:
        found = path.stat()
        times = (found.st_mtime_ns, found.st_ctime_ns)
        newest = max(newest, *times)
        total.update(f"{name}\0{found.st_size} {times} {found.st_ino} {found.st_dev}\n".encode())
    return total.hexdigest(), newest / 1e9


def _content(files: list[tuple[str, Path]]) -> str:
    total = hashlib.sha256()
    for name, path in files:
        total.update(f"{name}\0{_file(path)}\n".encode())
    return total.hexdigest()


def _file(path: Path) -> str:
    total = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                total.update(chunk)
    except OSError as error:
        raise InputError(
            f"{path} must be readable, got {reason(error)}: change its permissions or take it away"
        ) from None
    return total.hexdigest()


def parts(
    step: Step, config: Config, run_dir: Path, data_dir: Path, digests: Digests
) -> dict[str, str]:
    """Everything that the outcome of `step` depends on, as a digest by what it is.

    That is the release of Exeunt, its config sections, the files in the run folder that it reads,
    a user's own network with all its files, the folding file and the data set.
    """
    from exeunt import __version__
    from exeunt.config import tree

    found = {"release": __version__, "config": tree.hash_of(config, *step.sections)}
    for name in step.inputs:
        found[name] = digests.of(run_dir / name) or ABSENT
    if "model" in step.sections and config.model.file is not None:
        for name, path in _network_files(config.model.kind, config.model.file, digests):
            found[name] = digests.of(path) or ABSENT
        for path in map(Path, config.model.files):
            name = f"model.files {os.path.relpath(path, config.model.file.parent)}"
            found[name] = digests.of(path) or ABSENT
    if "compile" in step.sections and config.compile.folding:
        path = Path(config.compile.folding)
        found[f"folding file {path.name}"] = digests.of(path) or ABSENT
    if "compile" in step.sections and config.explain.hardware is not None:
        found["explain.hardware"] = tree.digest(config.explain.hardware)
    if "compile" in step.sections and "/" in config.compile.board:
        found["board"] = digests.of(Path(config.compile.board)) or ABSENT
    if "train" in step.sections and config.train.start:
        found["train.start"] = digests.of(Path(config.train.start)) or ABSENT
    if step.data:
        found["data set"] = data_set(config, data_dir, digests)
    return found


def data_set(config: Config, data_dir: Path, digests: Digests) -> str:
    """The digest of the data set that the config names, "absent" where there is none."""
    path, data_format = Path(data_dir) / config.data.dataset, config.data.format
    if config.data.dataset == "digits" and data_format in (None, "digits"):
        beside = data_format is None and os.path.lexists(path)  # which the step refuses
        return "scikit-learn and a folder" if beside else "scikit-learn"
    return digests.of(path) or ABSENT


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """What of `parts` has changed, in a few words; "" when nothing has."""
    names = [k for k in new if old.get(k) != new[k]] + [k for k in old if k not in new]
    return " and ".join(names)


def _network_files(kind: str, path: Path, digests: Digests) -> Iterator[tuple[str, Path]]:
    """A user's network file, and the files that it takes weights or code from."""
    yield f"model.source {path.name}", path
    if kind == "qonnx":
        _, locations = digests.look(path, _external)
        for name in locations or ():
            yield f"weights {name}", path.parent / name
    else:
        for other in code_files(path)[1:]:
            yield f"code {os.path.relpath(other, path.parent)}", other


def _external(path: Path) -> list[str]:
    """Names of the files that an ONNX file keeps its tensors in, relative to its folder."""
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception:  # protobuf's errors have no common base; the step says what is wrong
        return []
    return sorted(
        {
            entry.value
            for tensor in _tensors(model.graph)
            for entry in tensor.external_data
            if entry.key == "location"
        }
    )


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor of an ONNX graph: initializers and attributes of nodes."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)
