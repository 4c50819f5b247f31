"""The environment FINN wants before its first import: no Vivado, no build folder, no noise.

FINN's import takes about six seconds (it brings torch along), so nothing in `exeunt` imports a
module that needs FINN before a step that compiles has begun; `exeunt.hls.compile` does it there.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

NO_VIVADO = "/none/Vivado/2024.2"


def prepare() -> None:
    """Set what FINN reads from the environment at import, once; what is set already stays."""
    os.environ.setdefault("FINN_BUILD_DIR", str(Path(tempfile.gettempdir()) / "exeunt-finn"))
    os.environ.setdefault("XILINX_VIVADO", NO_VIVADO)  # never run; FINN only looks


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence what FINN, QONNX and onnxruntime say about their own insides."""
    import onnxruntime

    log = logging.getLogger("finn_logger")
    level = log.level
    onnxruntime.set_default_logger_severity(3)
    try:
        log.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            # FINN and QONNX warn about each other's deprecations and about optional speed-ups;
            # none of it is about the network that is being compiled.
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
