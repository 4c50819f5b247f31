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


def told(error: Exception) -> str:
    """One sentence on disk, permissions or memory; empty where it is something else."""
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return (
            "memory must be enough for the network and its images, got no more: make the layers, "
            "the images or train.batch smaller"
        )
    if not isinstance(error, OSError) or error.errno not in _ADVICE:
        return ""
    place = error.filename or "the run folder"
    text = (error.strerror or "").lower()
    return f"{place} must be there to be read and written, got {text}: {_ADVICE[error.errno]}"
