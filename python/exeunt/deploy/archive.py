"""Archives with the same bytes for the same contents: sorted names, no times, no owners."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from exeunt.errors import InputError

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip file can say; every entry says it."""


def pack(contents: Mapping[str, bytes], *, top: str) -> bytes:
    """A zip file of `contents` (name -> bytes), all of it in the folder `top`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(f"{top}/{name}", EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever it is made
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, contents[name])
    return out.getvalue()


def save(path: Path, data: bytes) -> None:
    """Write the archive whole or not at all.

    Raises:
        InputError: the folder cannot be made or written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise InputError(
            f"archive {path} must be writable, got {(error.strerror or str(error)).lower()}: "
            "choose another --archive or --out"
        ) from None
    finally:
        if part.is_file():
            part.unlink()
