"""What a later step would refuse, looked for before the first one: files, boards, caches, tools."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from exeunt.errors import InputError
from exeunt.files import cache_folder, reason

if TYPE_CHECKING:
    from exeunt.config.tree import Config


def before(steps: Collection[str], config: Config) -> None:
    """Refuse to begin these steps where one of them cannot be done.

    Raises:
        InputError: a file of the network, the folding file, a board or the cache folder that is
            named cannot be used.
        ToolError: compile.kernels = "vitis" without AMD's tools.
    """
    if "train" in steps:
        for name in config.model.files:
            if not Path(name).is_file():
                raise InputError(
                    f"model.files must name files that the network opens, got no file {name}: "
                    "correct the path"
                )
    if "compile" in steps:
        if config.compile.folding is not None:
            _folding(Path(config.compile.folding))
        if config.compile.optimised:
            importlib.import_module("exeunt.hls.optimised").limits(config.compile)
        if config.compile.kernels == "vitis":
            importlib.import_module("exeunt.hls.back.vitis").check()
    if "simulate" in steps and os.environ.get("EXEUNT_CACHE"):
        cache_folder("EXEUNT_CACHE", "exeunt")
    if config.bitstream.board:
        from exeunt.boards import targets

        targets.load(config.bitstream.board)


def before_training(config: Config) -> None:
    """Refuse compression passes that the layers of the network do not allow.

    Raises:
        InputError: as the pass would raise behind the training.
    """
    if config.compress is not None:
        importlib.import_module("exeunt.quant.compress.rehearsal").rehearse(config)


def _folding(path: Path) -> None:
    """Refuse a folding file that is no table; what is in it the compiler judges."""
    try:
        if isinstance(json.loads(path.read_text(encoding="utf-8-sig")), dict):
            return
        got = "something else"
    except OSError as error:
        got = reason(error)
    except ValueError:
        got = "something that is no JSON"
    raise InputError(
        f"compile.folding must name a JSON file of FINN nodes and their attributes, got {path} "
        f"({got}): start from report/auto_folding_config.json of a run"
    )
