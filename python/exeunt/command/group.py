"""The group of all commands: in the order of the pipeline, and helpful about a wrong name."""

from __future__ import annotations

import difflib

import click

from exeunt.errors import InputError


class Group(click.Group):
    """Names the nearest step when there is no such step."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of that name.

        Raises:
            InputError: there is none.
        """
        wrong = args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-")
        if wrong and not ctx.resilient_parsing:  # which a shell does that completes
            known = self.list_commands(ctx)
            near = difflib.get_close_matches(args[0], known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else "see exeunt --help"
            raise InputError(f"step must be one of {', '.join(known)}, got {args[0]!r}: {hint}")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the pipeline, not of the alphabet."""
        return list(self.commands)
