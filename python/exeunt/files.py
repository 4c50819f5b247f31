"""Files that belong together: those below a folder, and those that a Python file imports."""

from __future__ import annotations

import ast
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from exeunt.errors import InputError

JUNK = frozenset(
    ["__MACOSX", "__pycache__", "@eaDir", "lost+found", "$RECYCLE.BIN", "Thumbs.db", "desktop.ini"]
) | {"System Volume Information"}


def ignored(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or what a system leaves behind."""
    return name.startswith(".") or name in JUNK


def reason(error: OSError) -> str:
    """What the system says of an error, as a part of a sentence."""
    text = error.strerror or type(error).__name__
    return text[:1].lower() + text[1:]


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Write `path` whole or not at all: beside it first, then renamed over it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as stream:
            yield stream
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def cache_folder(variable: str, name: str) -> Path:
    """A folder that can be written, for what can be made again: the one that `variable` names.

    Without it that is `name` in the user's cache folder, or, where there is none that can be
    written, in the folder for temporary files.

    Raises:
        InputError: `variable` names no folder that can be written, or there is none without it.
    """
    given = os.environ.get(variable)
    if given:
        trouble = _unwritable(Path(given))
        if trouble:
            raise InputError(
                f"{variable} must be a folder that can be written, got {given} ({trouble}): set "
                "another one or unset it"
            )
        return Path(given)
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / name
        if not _unwritable(home):
            return home
    except RuntimeError:  # there is no home
        pass
    try:
        shared = Path(tempfile.gettempdir()) / f"exeunt-{os.getuid()}"
        shared.mkdir(mode=0o700, exist_ok=True)
        if shared.stat().st_uid != os.getuid():  # somebody else's
            shared = Path(tempfile.mkdtemp(prefix="exeunt-"))
    except OSError as error:
        raise InputError(
            f"a folder for what can be made again must be writable, got {reason(error)} in home "
            f"and temporary folder: set {variable} to one"
        ) from None
    return shared / name


def _unwritable(folder: Path) -> str:
    """Why nothing can be written into a folder (made when absent), "" when it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return reason(error)


def walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file below `folder` with its name there ("a/b.png"), sorted folder by folder.

    Links are followed. Hidden files and folders and those of JUNK are left out.

    Raises:
        InputError: a folder that cannot be read, a link that leads back to a folder above it or
            nowhere, or a name that is not UTF-8.
    """
    yield from _walk(Path(folder), "", ())


def _walk(folder: Path, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator:
    try:
        found = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(
            f"folder {folder} must be readable, got {reason(error)}: change its permissions or "
            "take it away"
        ) from None
    here = (found.st_dev, found.st_ino)
    if here in above:
        raise InputError(
            f"folder {folder} must not be a link to a folder above it, got one to "
            f"{folder.resolve()}: take it away"
        )
    for entry in entries:
        if ignored(entry.name):
            continue
        try:
            name = prefix + entry.name.encode().decode()
            nested = entry.is_dir()
            if not nested and not entry.is_file() and not os.path.exists(entry.path):
                raise InputError(
                    f"{entry.path} must be a file or a folder, got a link that leads nowhere: "
                    "take it away"
                )
        except UnicodeEncodeError:
            raise InputError(
                f"names below {folder} must be UTF-8, got {ascii(os.fsencode(entry.name))[1:]}: "
                "rename it"
            ) from None
        except OSError as error:
            raise InputError(
                f"{entry.path} must be readable, got {reason(error)}: take it away"
            ) from None
        if nested:
            yield from _walk(Path(entry.path), f"{name}/", (*above, here))
        elif entry.is_file():
            yield name, Path(entry.path)


def code_files(path: Path) -> list[Path]:
    """`path` and the Python files of its own folder that it imports, directly or not."""
    folder, found, waiting = path.parent, [path], [path]
    while waiting:
        for other in _imports(waiting.pop(), folder):
            if other not in found:
                found.append(other)
                waiting.append(other)
    return [path, *sorted(found[1:])]


def _imports(path: Path, folder: Path) -> Iterator[Path]:
    """The files below `folder` that the imports in one file can mean."""
    try:
        code = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):  # the step says what is wrong
        return
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            base = folder
        elif isinstance(node, ast.ImportFrom):
            head = f"{node.module}." if node.module else ""
            names = [f"{head}{alias.name}" for alias in node.names]
            base = path.parents[node.level - 1] if node.level else folder
        else:
            continue
        for name in names:
            steps = name.split(".")
            for count in range(1, len(steps) + 1):
                place = base.joinpath(*steps[:count])
                for file in (place.with_suffix(".py"), place / "__init__.py"):
                    if file.is_file():
                        yield file
