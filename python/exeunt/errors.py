"""The error family: every message is one sentence with thing, rule, value and next step."""


class ExeuntError(Exception):
    """Base of all errors that a user can cause; the command line prints the message alone."""

    exit_code = 1


class CheckFailed(ExeuntError):
    """A check did not hold: a mismatch with the reference, a missed bar (exit code 1)."""

    exit_code = 1


class InputError(ExeuntError):
    """The user's input is wrong: a file, a config value, an image, a model (exit code 2)."""

    exit_code = 2


class ToolError(ExeuntError):
    """An external tool is missing or failed (exit code 3)."""

    exit_code = 3
