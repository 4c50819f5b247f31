"""The program `exeunt`: the command line, or one sentence where its packages are missing."""

from __future__ import annotations

import sys

INSTALL = "pip install 'exeunt[all]'"


def main() -> None:
    """Run the command line and exit with its code; 3 without the package that reads commands."""
    try:
        from exeunt.command import cli
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        print(
            "exeunt: the command line must have the package click, got none, since Exeunt was "
            f"installed for the driver alone: {INSTALL}",
            file=sys.stderr,
        )
        sys.exit(3)
    cli.main()
