"""The known exit criteria: those that the files of this package define as `CRITERION`."""

from __future__ import annotations

import importlib
import pkgutil

from exeunt.criteria.criterion import Criterion
from exeunt.errors import InputError

_PACKAGE = "exeunt.criteria"
_NO_CRITERIA = ("criterion", "leaving", "registry")


def _found() -> dict[str, Criterion]:
    """Every criterion by name, in order of code."""
    folder = importlib.import_module(_PACKAGE).__path__
    files = [m.name for m in pkgutil.iter_modules(folder) if m.name not in _NO_CRITERIA]
    made = [importlib.import_module(f"{_PACKAGE}.{name}").CRITERION for name in sorted(files)]
    for criterion, file in zip(made, sorted(files), strict=True):
        assert criterion.name == file, f"{file}.py defines a criterion called {criterion.name}"
    made.sort(key=lambda c: c.code)
    codes = [c.code for c in made]
    assert len(set(codes)) == len(codes), f"two criteria have the same code: {codes}"
    return {c.name: c for c in made}


_known: dict[str, Criterion] = {}


def _all() -> dict[str, Criterion]:
    if not _known:
        _known.update(_found())
    return _known


def names() -> tuple[str, ...]:
    """All criteria in order of their codes; the first is the default."""
    return tuple(_all())


def get(name: str) -> Criterion:
    """The criterion of that name.

    Raises:
        InputError: there is none.
    """
    found = _all().get(name)
    if found is None:
        known = " or ".join(f'"{n}"' for n in names())
        raise InputError(
            f"the exit criterion must be {known}, got {name!r}: change calibrate.criterion and "
            "calibrate again"
        )
    return found


def text() -> str:
    """What the criterion register says, by code."""
    return "; ".join(f"{c.code}: {c.name}, {c.score}" for c in _all().values())
