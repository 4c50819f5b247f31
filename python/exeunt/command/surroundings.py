"""What is wrong around the program, where an error says that."""

from __future__ import annotations

import errno

_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room or choose another --out"),
    **dict.fromkeys(
        (errno.EROFS, errno.EACCES, errno.EPERM), "change that or choose another --out"
    ),
    **dict.fromkeys((errno.ENAMETOOLONG, errno.ELOOP), "choose another path"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "raise `ulimit -n`"),
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.EFBIG), "check the disk"),
}


def told(error: Exception) -> tuple[str, int]:
    """One sentence on a package, disk, permissions or memory, and the exit code.

    The sentence is empty where the error is something else.
    """
    package = error.name if isinstance(error, ModuleNotFoundError) else None
    if package and not package.startswith("exeunt."):
        return (
            f"the package {package.partition('.')[0]} must be installed for this step, got none: "
            "`exeunt doctor --fix` prints the command that installs what is missing"
        ), 3
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return (
            "memory must be enough for the network and its images, got no more: make the layers, "
            "the images or train.batch smaller"
        ), 2
    if not isinstance(error, OSError) or error.errno not in _ADVICE:
        return "", 1
    place = error.filename or "the run folder"
    text = (error.strerror or "").lower()
    return f"{place} must be there to be read and written, got {text}: {_ADVICE[error.errno]}", 2
