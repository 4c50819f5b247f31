"""Commands that belong to no run: a new config, what is installed, what a shell completes."""

from __future__ import annotations

import sys

import click

from exeunt.command import completion as shells


@click.command()
@click.option("--fix", is_flag=True, help="Print the one command that installs what is missing.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def doctor(fix: bool, debug: bool) -> None:
    """Which tools were found, what each enables, and how to get those that are missing."""
    del debug
    from exeunt.command import doctor as work

    if fix:
        work.show_fix(sys.stdout, sys.stderr)
    else:
        work.show(sys.stdout)


@click.command()
@click.argument("shell", type=click.Choice(shells.SHELLS), default="bash")
def completion(shell: str) -> None:
    """Print what bash, zsh or fish reads to complete commands, configs and boards."""
    click.echo(shells.script(shell), nl=False)


@click.command()
@click.argument("name")
@click.option("--images", required=True, help="Folder or zip of <class>/<image>.")
@click.option("--data", default="data", show_default=True, help="Folder with datasets.")
@click.option("--force", is_flag=True, help="Write over NAME.toml.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def new(name: str, images: str, data: str, force: bool, debug: bool) -> None:
    """Write NAME.toml, a config with comments for images of your own."""
    del debug
    from pathlib import Path

    from exeunt.command import new as work

    for line in work.new(name, Path(images), data=Path(data), force=force):
        click.echo(line)
