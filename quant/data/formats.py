"""Readers of the image formats that people have: IDX, CIFAR-10 batches, folders and zips."""

from __future__ import annotations

import gzip
import io
import pickle
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from exeunt.errors import InputError
from exeunt.splits import Labelled

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
_TRAIN, _VALIDATION, _TEST = ("train", "training"), ("validation", "val", "valid"), ("test",)


# IDX ------------------------------------------------------------------------------------------


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """The unsigned 8-bit tensor in an IDX file, packed with gzip or not.

    Raises:
        InputError: truncated, not IDX, or of another element type.
    """
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (EOFError, OSError, zlib.error):
            raise InputError(
                f"{path} must be a whole gzip file, got one that breaks off or is damaged: "
                "fetch it again"
            ) from None
    if len(raw) < 4 or raw[:2] != b"\0\0" or not 1 <= raw[3] <= 4:
        raise InputError(
            f"{path} must start with an IDX header (00 00 08 and 1 to 4 dimensions), "
            f"got {raw[:4].hex(' ') or 'an empty file'}: check which file this is"
        )
    if raw[2] != 8:
        raise InputError(
            f"{path} must hold unsigned 8-bit elements (IDX type 08), got type {raw[2]:02x}: "
            "convert the images to 0..255"
        )
    start = 4 + 4 * raw[3]
    shape = tuple(int.from_bytes(raw[k : k + 4], "big") for k in range(4, start, 4))
    expected = start + int(np.prod(shape, dtype=np.int64))
    if len(raw) != expected:
        raise InputError(
            f"{path} must hold {expected} bytes for shape {shape}, got {len(raw)}: fetch it again"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def idx_file(folder: Path, stem: str, rank: int) -> Path:
    """The IDX file `stem` with `rank` dimensions in `folder`, under any of its usual names."""
    names = [f"{stem}{mark}idx{rank}-ubyte{end}" for mark in "-." for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        f"{folder} must hold {names[1]} (or {names[0]}), got no such file: fetch it or point "
        "--data at the folder that holds the datasets"
    )


def read_idx_pair(folder: Path, half: str) -> Labelled:
    """Images and labels of one half ("train" or "t10k") of an IDX dataset."""
    image_path, label_path = (
        idx_file(folder, f"{half}-images", 3),
        idx_file(folder, f"{half}-labels", 1),
    )
    images, labels = read_idx(image_path), read_idx(label_path)
    if images.ndim not in (3, 4):
        raise InputError(
            f"{image_path} must hold images (3 or 4 dimensions), got shape {images.shape}: "
            "check that images and labels are not swapped"
        )
    if labels.ndim != 1:
        raise InputError(
            f"{label_path} must hold labels (1 dimension), got shape {labels.shape}: "
            "check that images and labels are not swapped"
        )
    if len(images) != len(labels):
        raise InputError(
            f"{label_path} must label the {len(images)} images of {image_path.name}, "
            f"got {len(labels)} labels: take both files from the same set"
        )
    if images.ndim == 3:
        images = images[..., None]
    return Labelled(images, labels.astype(np.int64))


# CIFAR-10 python batches ----------------------------------------------------------------------

CIFAR_TRAIN = tuple(f"data_batch_{k}" for k in range(1, 6))
CIFAR_TEST = ("test_batch",)


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


def _cifar_batch(stream: IO[bytes], where: str) -> Labelled:
    try:
        batch = _PlainUnpickler(stream, encoding="bytes").load()
        data = np.asarray(batch[b"data"])
        labels = np.asarray(batch[b"labels"], np.int64)
        if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
            raise ValueError(f"data of {data.dtype} {data.shape}")
        if labels.shape != (len(data),):
            raise ValueError(f"{labels.shape} labels for {len(data)} images")
    except Exception as error:  # a damaged pickle may raise anything
        raise InputError(
            f"{where} must be a CIFAR-10 python batch (uint8 data (N, 3072) and N labels), got "
            f"{type(error).__name__} ({error}): fetch it again"
        ) from None
    return Labelled(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).copy(), labels)


def read_cifar(path: Path) -> tuple[Labelled, Labelled]:
    """Training and test images of CIFAR-10 from a folder of batches or its .tar.gz.

    Raises:
        InputError: a batch is missing or damaged.
    """
    if path.is_dir():
        inner = path / "cifar-10-batches-py"
        folder = inner if inner.is_dir() else path

        def read(name: str) -> Labelled:
            if not (folder / name).is_file():
                raise InputError(_missing_batch(str(folder), name))
            with (folder / name).open("rb") as stream:
                return _cifar_batch(stream, str(folder / name))

        return _halves(read)
    try:
        with tarfile.open(path) as archive:
            members = {PurePosixPath(m.name).name: m for m in archive.getmembers() if m.isfile()}

            def extract(name: str) -> Labelled:
                stream = archive.extractfile(members[name]) if name in members else None
                if stream is None:
                    raise InputError(_missing_batch(str(path), name))
                return _cifar_batch(stream, f"{path}:{name}")

            return _halves(extract)
    except (tarfile.TarError, EOFError, OSError, zlib.error):
        raise InputError(
            f"{path} must be a whole .tar.gz of CIFAR-10 batches, got one that breaks off or is "
            "damaged: fetch it again"
        ) from None


def _missing_batch(where: str, name: str) -> str:
    return f"{where} must hold the CIFAR-10 batch {name}, got no such file: fetch cifar10 again"


def _halves(read: Callable[[str], Labelled]) -> tuple[Labelled, Labelled]:
    def join(names: tuple[str, ...]) -> Labelled:
        parts = [read(n) for n in names]
        return Labelled(
            np.concatenate([p.images for p in parts]), np.concatenate([p.labels for p in parts])
        )

    return join(CIFAR_TRAIN), join(CIFAR_TEST)


# Folders and zips of <class>/<image> ----------------------------------------------------------


@dataclass(frozen=True)
class Tree:
    """Images by half: those of no named half under "all", else "train", "validation", "test"."""

    halves: dict[str, Labelled]
    classes: tuple[str, ...]


def read_tree(path: Path, *, shape: tuple[int, int, int]) -> Tree:
    """The images (H, W, C) = `shape` in a folder or zip of `<class>/<image>`.

    Folders train/, validation/ and test/ above the classes name the halves. Within a class the
    images come in the natural order of their names (2.png before 10.png).

    Raises:
        InputError: no images, one that is damaged, or of another size, type or channel count.
    """
    files: list[tuple[str, str, str]] = []  # half, class, name
    entries = dict(_entries(path))
    for name in entries:
        parts = PurePosixPath(name).parts
        if len(parts) >= 2 and parts[-1].lower().endswith(SUFFIXES) and parts[0] != "__MACOSX":
            half = _half(parts[-3]) if len(parts) >= 3 else "all"
            files.append((half, parts[-2], name))
    if not files:
        raise InputError(
            f"{path} must hold images as <class>/<image> with one of the endings "
            f"{', '.join(SUFFIXES)}, got none: check the path"
        )
    classes = tuple(sorted({c for _, c, _ in files}, key=_natural))
    index = {c: k for k, c in enumerate(classes)}
    files.sort(key=lambda f: (f[0], _natural(f[1]), _natural(f[2])))
    halves: dict[str, Labelled] = {}
    for half in dict.fromkeys(f[0] for f in files):
        chosen = [f for f in files if f[0] == half]
        images = np.empty((len(chosen), *shape), np.uint8)
        for k, (_, _, name) in enumerate(chosen):
            images[k] = _decode(entries[name](), f"{path}:{name}", shape)
        halves[half] = Labelled(images, np.array([index[c] for _, c, _ in chosen], np.int64))
    return Tree(halves, classes)


def _entries(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Every file below `path` with a function that reads it."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield file.relative_to(path).as_posix(), file.read_bytes
        return
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError):
        raise InputError(
            f"{path} must be a whole zip file, got one that breaks off or is damaged: "
            "fetch or pack it again"
        ) from None
    for info in archive.infolist():
        if not info.is_dir():
            yield info.filename, lambda info=info: _from_zip(archive, info, path)  # type: ignore[misc]


def _from_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> bytes:
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error):
        raise InputError(
            f"{path}:{info.filename} must be whole, got a damaged entry: fetch or pack it again"
        ) from None


def _decode(raw: bytes, where: str, shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    height, width, channels = shape
    try:
        image = Image.open(io.BytesIO(raw))
        image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise InputError(
            f"{where} must be an image that can be decoded, got {len(raw)} bytes that cannot: "
            "remove or replace it"
        ) from None
    mode = {1: "L", 3: "RGB"}.get(channels)
    if image.mode != mode:
        wanted = f"8-bit {mode}" if mode else f"of {channels} channels (folders hold 1 or 3)"
        raise InputError(
            f"{where} must be {wanted} for model.input with {channels} channels, got "
            f"{image.mode}: convert it or change model.input"
        )
    if image.size != (width, height):
        raise InputError(
            f"{where} must be {height}x{width} as model.input says, got "
            f"{image.size[1]}x{image.size[0]}: resize it or change model.input"
        )
    return np.asarray(image, np.uint8).reshape(shape)


def _half(folder: str) -> str:
    for name, spellings in (("train", _TRAIN), ("validation", _VALIDATION), ("test", _TEST)):
        if folder.lower() in spellings:
            return name
    return "all"


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts)
