"""Commands that belong to no run: configs, data sets, what is installed, completion."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from exeunt.command import completion as shells


@click.command()
@click.argument("config", default="digits", shell_complete=shells.configs)
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def config(config: str, debug: bool) -> None:
    """Print a config with every key explained, to start your own from."""
    del debug
    from exeunt.config import tree
    from exeunt.config.manual import manual

    click.echo(manual(tree.load(config)), nl=False)


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
@click.argument("dataset", default="mnist")
@click.option("--data", default="data", show_default=True, help="Folder to put it into.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def fetch(dataset: str, data: str, debug: bool) -> None:
    """Download mnist, fashion-mnist or cifar10, with checksums."""
    del debug
    from exeunt.quant.data.fetch import fetch as work

    work(dataset, Path(data))
    click.echo(f"{dataset} is in {Path(data) / dataset}")


@click.command()
@click.argument("name")
@click.option("--images", required=True, help="Folder or zip of <class>/<image>.")
@click.option("--data", default="data", show_default=True, help="Folder with datasets.")
@click.option("--force", is_flag=True, help="Write over NAME.toml.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def new(name: str, images: str, data: str, force: bool, debug: bool) -> None:
    """Write NAME.toml, a config with comments for images of your own."""
    del debug
    from exeunt.command import new as work

    for line in work.new(name, Path(images), data=Path(data), force=force):
        click.echo(line)
