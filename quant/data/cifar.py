"""CIFAR-10's python batches: a folder of them, or packed as .tar.gz, .tar or .zip."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np

from exeunt.errors import InputError
from exeunt.files import reason
from exeunt.splits import Labelled

CIFAR_TRAIN = tuple(f"data_batch_{k}" for k in range(1, 6))
CIFAR_TEST = ("test_batch",)
NAMES = "batches.meta"
FOLDER = "cifar-10-batches-py"


class _PlainUnpickler(pickle.Unpickler):
    """Unpickles arrays and plain containers, and runs nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module.split(".")[0], name) in {
            ("numpy", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not an array")


def _batch(stream: IO[bytes], where: str) -> Labelled:
    try:
        batch = _PlainUnpickler(stream, encoding="bytes").load()
        data = np.asarray(batch[b"data"])
        labels = np.asarray(batch[b"labels"], np.int64)
        if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072 or not len(data):
            raise ValueError(f"data of {data.dtype} {data.shape}")
        if labels.shape != (len(data),):
            raise ValueError(f"{labels.shape} labels for {len(data)} images")
    except Exception as error:  # a damaged pickle may raise anything
        raise InputError(
            f"{where} must be a CIFAR-10 python batch (uint8 data (N, 3072) and N labels), got "
            f"{type(error).__name__} ({error}): fetch it again"
        ) from None
    return Labelled(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).copy(), labels)


def read_cifar(path: Path) -> tuple[Labelled, Labelled, tuple[str, ...]]:
    """Training and test images of CIFAR-10, and the names of the classes where they are told.

    Args:
        path: a folder of batches, or them packed as .tar.gz, .tar or .zip.

    Raises:
        InputError: a batch is missing or damaged.
    """
    if path.is_dir():
        inner = path / FOLDER
        folder = inner if inner.is_dir() else path

        def from_folder(name: str) -> bytes | None:
            file = folder / name
            try:
                return file.read_bytes() if file.is_file() else None
            except OSError as error:
                raise InputError(
                    f"{file} must be readable, got {reason(error)}: change its permissions"
                ) from None

        return _halves(from_folder, str(folder), "/")
    pack = _zip if zipfile.is_zipfile(path) else _tar
    try:
        return pack(path)
    except InputError:
        raise
    except Exception as error:  # the packers' errors have no common base
        unknown = isinstance(error, RuntimeError)  # a password, or a method that is not known
        got = f"cannot be read ({error})" if unknown else "breaks off or is damaged"
        raise InputError(
            f"{path} must be a whole .tar.gz or .zip of CIFAR-10 batches, got one that {got}: "
            "fetch it again"
        ) from None


def _tar(path: Path) -> tuple[Labelled, Labelled, tuple[str, ...]]:
    with tarfile.open(path) as archive:
        members = {PurePosixPath(m.name).name: m for m in archive.getmembers() if m.isfile()}

        def extract(name: str) -> bytes | None:
            stream = archive.extractfile(members[name]) if name in members else None
            return None if stream is None else stream.read()

        return _halves(extract, str(path), ":")


def _zip(path: Path) -> tuple[Labelled, Labelled, tuple[str, ...]]:
    with zipfile.ZipFile(path) as archive:
        members = {PurePosixPath(m.filename).name: m for m in archive.infolist()}

        def extract(name: str) -> bytes | None:
            return archive.read(members[name]) if name in members else None

        return _halves(extract, str(path), ":")


def _halves(
    read: Callable[[str], bytes | None], where: str, mark: str
) -> tuple[Labelled, Labelled, tuple[str, ...]]:
    def join(names: tuple[str, ...]) -> Labelled:
        parts = []
        for name in names:
            raw = read(name)
            if raw is None:
                other = ", but the binary version" * (read(f"{name}.bin") is not None)
                raise InputError(
                    f"{where} must hold the CIFAR-10 batch {name}, got no such file{other}: fetch "
                    "cifar10 again, its python version; class folders go into a zip"
                )
            parts.append(_batch(io.BytesIO(raw), f"{where}{mark}{name}"))
        return Labelled(
            np.concatenate([p.images for p in parts]), np.concatenate([p.labels for p in parts])
        )

    return join(CIFAR_TRAIN), join(CIFAR_TEST), _names(read(NAMES))


def _names(raw: bytes | None) -> tuple[str, ...]:
    """The names of the classes in a batches.meta, none when it tells none."""
    try:
        found = _PlainUnpickler(io.BytesIO(raw or b""), encoding="bytes").load()
        return tuple(name.decode() for name in found[b"label_names"])
    except Exception:  # only names: without them they are numbers
        return ()
