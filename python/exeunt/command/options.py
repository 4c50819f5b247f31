"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from exeunt.command import completion

F = TypeVar("F", bound=Callable[..., Any])


def common(function: F) -> F:
    """CONFIG, --out, --data and --debug, which every step has."""
    for decorate in (
        click.option("--debug", is_flag=True, help="Show tracebacks and all tool output."),
        click.option("--data", default="data", show_default=True, help="Folder with datasets."),
        click.option("--out", default=None, help="Run folder.  [default: build/<name>]"),
        click.argument("config", default="digits", shell_complete=completion.configs),
    ):
        function = decorate(function)
    return function


def board(text: str) -> Callable[[F], F]:
    """--board."""
    return click.option("--board", default="", help=text, shell_complete=completion.boards)


scheduler = click.option(
    "--scheduler", default="", help="Dask's, for many machines: local, tcp://... or its file."
)
