"""Files that belong together: those below a folder, and those that a Python file imports."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

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
