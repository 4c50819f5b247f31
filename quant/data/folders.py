"""Images in class folders, or a zip of them: the layout that torchvision's ImageFolder reads.

The first folder below the set, or below train/, validation/ and test/, is the class; what lies
deeper (sessions, cameras) belongs to it. Classes are numbered in the order of their names as text,
as ImageFolder does, since users' networks were trained so.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image

from exeunt.errors import InputError
from exeunt.files import ignored, reason, walk
from exeunt.splits import Labelled

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
HALVES = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
MODES = {1: "L", 3: "RGB"}
MEANING = {
    "1": "black and white",
    "P": "colours from a palette",
    "LA": "grey with transparency",
    "RGBA": "colour with transparency",
    "CMYK": "colours of print",
    "I": "grey of 32 bits",
    "I;16": "grey of 16 bits",
    "F": "floating point",
}
_ORIENTATION = 0x0112  # of EXIF
_PACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_MOST = 256 << 20  # bytes of an entry of a zip, which is unpacked whole
_SHOWN = 8  # names in a sentence


@dataclass(frozen=True)
class Tree:
    """Images by half: those of no named half under "all", else "train", "validation", "test".

    `empty` are folders where a class should be, without images; `notes` say what was left out or
    may surprise.
    """

    halves: dict[str, Labelled]
    classes: tuple[str, ...]
    empty: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """Which class of which half every image is of, and images that are of none."""

    files: tuple[tuple[str, str, str], ...]  # half, class, name
    strays: tuple[str, ...]
    levels: tuple[str, ...]  # folders whose folders are classes, "" for the set itself
    above: str = ""  # folders around everything


Folders = Callable[[str], Iterable[str]]


def layout(names: Iterable[str], where: str, folders: Folders) -> Layout:
    """What the folders of these files ("a/b.png") mean.

    Args:
        names: of all files below the set.
        where: the set, for messages.
        folders: names of the folders in a folder ("" is the set itself, else "a/").

    Raises:
        InputError: no images, or folders that can mean more than one thing.
    """
    paths = {name: PurePosixPath(name).parts for name in names}
    paths = {
        name: parts
        for name, parts in paths.items()
        if parts[-1].lower().endswith(SUFFIXES) and not any(ignored(p) for p in parts)
    }
    inside = {name: parts for name, parts in paths.items() if len(parts) > 1}
    if not inside:
        got = "only images in no folder" if paths else "none"
        raise InputError(
            f"{where} must hold images as <class>/<image> with one of the endings "
            f"{', '.join(SUFFIXES)}, got {got}: check the path"
        )
    strays = [name for name in paths if name not in inside]
    above = ""
    while all(len(parts) > 2 for parts in inside.values()):
        around = list(folders(above))
        if len(around) != 1 or _half(around[0]):
            break
        above += f"{around[0]}/"  # one folder around everything, as zips have it
        inside = {name: parts[1:] for name, parts in inside.items()}
    tops = {parts[0] for parts in inside.values()}
    halves = {top for top in tops if _half(top)}
    nested = {p[0] for p in inside.values() if p[0] in halves and len(p) > 2}
    if nested and tops != halves:
        raise InputError(
            f"{where} must hold its classes below train/ or at the top, got "
            f"{listed(f'{t}/' for t in tops)}: move the training images to train/<class>/"
        )
    if halves and tops == halves and not nested:
        raise InputError(
            f"{where} must hold its images as train/<class>/<image>, got "
            f"{min(inside)} in no class: put the images into folders of their classes"
        )
    if nested:
        strays += [name for name, parts in inside.items() if len(parts) < 3]
        files = [(_half(p[0]), p[1], name) for name, p in inside.items() if len(p) > 2]
        return Layout(
            tuple(files),
            tuple(sorted(strays)),
            tuple(f"{above}{h}/" for h in sorted(halves)),
            above,
        )
    for parts in inside.values():
        if len(parts) > 2 and _half(parts[1]):
            raise InputError(
                f"{where} must have {parts[1]}/ above its classes, got {parts[0]}/{parts[1]}/: "
                f"move it to {parts[1]}/{parts[0]}/"
            )
    files = [("all", parts[0], name) for name, parts in inside.items()]
    return Layout(tuple(files), tuple(sorted(strays)), (above,), above)


def read_tree(path: Path, *, shape: tuple[int, int, int]) -> Tree:
    """The images (H, W, C) = `shape` in a folder or zip of `<class>/<image>`.

    Folders train/, validation/ and test/ above the classes name the halves. Within a class the
    images come in the natural order of their names (2.png before 10.png). Hidden files and what
    systems leave behind are no part of it. Pixels are taken as they are stored.

    Raises:
        InputError: no images, folders that can mean more than one thing, or an image that is
            damaged, or of another size, type or channel count.
    """
    if shape[2] not in MODES:
        raise InputError(
            f"model.input must have 1 or 3 channels for images in folders, got {shape[2]}: take "
            "IDX files for others"
        )
    files_of, folders = entries(path)
    found = layout(files_of, str(path), folders)
    classes = tuple(sorted({c for _, c, _ in found.files}))
    index = {c: k for k, c in enumerate(classes)}
    files = sorted(found.files, key=lambda f: (f[0], index[f[1]], natural(f[2])))
    halves: dict[str, Labelled] = {}
    turned = 0
    for half in dict.fromkeys(f[0] for f in files):
        chosen = [f for f in files if f[0] == half]
        images = np.empty((len(chosen), *shape), np.uint8)
        for k, (_, _, name) in enumerate(chosen):
            images[k], is_turned = _decode(files_of[name], f"{path}:{name}", shape)
            turned += is_turned
        halves[half] = Labelled(images, np.array([index[c] for _, c, _ in chosen], np.int64))
    empty = tuple(
        f"{level}{name}" for level in found.levels for name in folders(level) if name not in classes
    )
    return Tree(halves, classes, empty, _notes(found, classes, empty, turned))


def _notes(
    found: Layout, classes: tuple[str, ...], empty: tuple[str, ...], turned: int
) -> tuple[str, ...]:
    notes = []
    if list(classes) != sorted(classes, key=natural):
        notes.append(
            "classes are numbered in the order of their names as text, as torchvision's "
            f"ImageFolder does: {listed(classes, ordered=False)}"
        )
    if found.above:
        notes.append(f"the classes are the folders in {', '.join(found.levels)}")
    if found.strays:
        notes.append(
            f"{len(found.strays)} images are in no class folder and were left out, such as "
            f"{found.strays[0]}"
        )
    if empty:
        notes.append(f"folders without images: {listed(empty)}")
    if turned:
        notes.append(
            f"{turned} images say in their EXIF data that they are to be turned; they are taken as "
            "they are stored"
        )
    return tuple(notes)


def listed(names: Iterable[str], *, ordered: bool = True) -> str:
    """Some names for a sentence, and how many more there are."""
    found = sorted(names) if ordered else list(names)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def _half(folder: str) -> str:
    """The half that a folder of this name stands for, "" for none."""
    return next((h for h, spellings in HALVES.items() if folder.lower() in spellings), "")


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts 2 before 10."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts)


Opener = Callable[[], IO[bytes]]


def entries(path: Path) -> tuple[dict[str, Opener], Folders]:
    """Every file below `path` with a function that opens it, and one that tells its folders."""
    if path.is_dir():

        def listed(level: str) -> list[str]:
            found = (f.name for f in (path / level).iterdir() if f.is_dir())
            return sorted(name for name in found if not ignored(name))

        return {name: _opener(file) for name, file in walk(path)}, listed
    try:
        archive = zipfile.ZipFile(path)
    except Exception:  # a damaged directory may raise anything
        raise InputError(
            f"{path} must be a whole zip file, got one that breaks off or is damaged: "
            "fetch or pack it again"
        ) from None
    members = {info.filename.replace("\\", "/"): info for info in archive.infolist()}

    def inside(level: str) -> list[str]:
        below = (name[len(level) :] for name in members if name.startswith(level))
        return sorted({n.split("/")[0] for n in below if "/" in n and not ignored(n.split("/")[0])})

    files = {name: info for name, info in members.items() if not name.endswith("/")}
    return {name: _member(archive, info, path) for name, info in files.items()}, inside


def _opener(file: Path) -> Opener:
    def opened() -> IO[bytes]:
        try:
            return file.open("rb")
        except OSError as error:
            raise InputError(
                f"{file} must be readable, got {reason(error)}: change its permissions or take it "
                "away"
            ) from None

    return opened


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> Opener:
    def opened() -> IO[bytes]:
        where = f"{path}:{info.filename}"
        if info.flag_bits & 1:
            raise InputError(
                f"{where} must be packed without a password, got one that needs it: pack it again"
            )
        if info.compress_type not in _PACKED:
            name = zipfile.compressor_names.get(info.compress_type, str(info.compress_type))  # type: ignore[attr-defined]
            raise InputError(
                f"{where} must be packed by deflate or not at all, got {name}: pack it again, or "
                "unpack it into a folder"
            )
        if info.file_size > _MOST:
            raise InputError(
                f"{where} must be an image of at most {_MOST >> 20} MB, got {info.file_size >> 20} "
                "MB: take it out"
            )
        try:
            return io.BytesIO(archive.read(info))
        except Exception:  # the packers' errors have no common base
            raise InputError(
                f"{where} must be whole, got a damaged entry: fetch or pack it again"
            ) from None

    return opened


def _decode(
    opened: Opener, where: str, shape: tuple[int, int, int]
) -> tuple[npt.NDArray[np.uint8], bool]:
    """The pixels of an image, and whether its EXIF data say that it is to be turned.

    The size is read before any pixel, so that a picture of many megapixels costs nothing.
    """
    height, width, channels = shape
    with opened() as stream:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image = Image.open(stream)
        except Image.DecompressionBombError:
            raise InputError(
                f"{where} must be {height}x{width} as model.input says, got one of more than "
                f"{2 * (Image.MAX_IMAGE_PIXELS or 0) // 1000000} megapixels: resize it"
            ) from None
        except Exception as error:  # Pillow's errors have no common base
            raise undecodable(where, error) from None
        mode = MODES[channels]
        if image.mode != mode:
            meant = MEANING.get(image.mode)
            raise InputError(
                f"{where} must be 8-bit {mode} for model.input with {channels} channels, got "
                f"{image.mode}{f' ({meant})' if meant else ''}: convert it or change model.input"
            )
        if image.size != (width, height):
            raise InputError(
                f"{where} must be {height}x{width} as model.input says, got "
                f"{image.size[1]}x{image.size[0]}: resize it or change model.input"
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image.load()
                turned = "exif" in image.info and image.getexif().get(_ORIENTATION, 1) != 1
        except Exception as error:
            raise undecodable(where, error) from None
        return np.asarray(image, np.uint8).reshape(shape), turned


def undecodable(where: str, error: Exception) -> InputError:
    """The refusal of an image for what Pillow or the system said of it."""
    damaged: tuple[type[Exception], ...] = (zipfile.BadZipFile,)
    if isinstance(error, damaged):
        return InputError(f"{where} must be whole, got a damaged entry: fetch or pack it again")
    if isinstance(error, OSError) and error.errno is not None:
        return InputError(
            f"{where} must be readable, got {reason(error)}: change its permissions or take it away"
        )
    return InputError(
        f"{where} must be an image that can be decoded, got one that cannot: remove or replace it"
    )


def class_error(tree: Tree, where: str, classes: int) -> InputError:
    """The refusal of a tree of another number of classes than the config says."""
    empty = f", and without images {listed(tree.empty)}" if tree.empty else ""
    return InputError(
        f"dataset {where} must have as many class folders as model.classes = {classes}, got "
        f"{len(tree.classes)} ({listed(tree.classes, ordered=False)}{empty}): change model.classes "
        "or the folders"
    )
