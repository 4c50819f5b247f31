"""Wave pictures: signals of a VCD file as SVG that takes the colours of the page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

STEP, ROW, LABEL, HIGH = 30, 30, 150, 18  # pixels: a cycle, a signal, its name, its swing


def read(path: Path, names: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
    """Changes (time, value) of the signals whose full names end in `names`, in that order.

    Raises:
        ValueError: there is no such signal; the sentence names it.
    """
    from vcd.reader import TokenKind, tokenize  # of requirements-docs.txt

    codes: dict[str, list[str]] = {}
    found: dict[str, list[tuple[int, int]]] = {}
    scope: list[str] = []
    now = 0
    with path.open("rb") as file:
        for token in tokenize(file):
            if token.kind is TokenKind.SCOPE:
                scope.append(token.scope.ident)
            elif token.kind is TokenKind.UPSCOPE:
                scope.pop()
            elif token.kind is TokenKind.VAR:
                full = ".".join((*scope, token.var.reference))
                for name in names:
                    if f".{full}".endswith(f".{name}") and name not in found:
                        found[name] = []
                        codes.setdefault(token.var.id_code, []).append(name)
            elif token.kind is TokenKind.CHANGE_TIME:
                now = token.time_change
            elif token.kind in (TokenKind.CHANGE_SCALAR, TokenKind.CHANGE_VECTOR):
                change = token.data
                text = str(change.value)
                value = int(text) if text.isdigit() else 0  # an x is drawn low
                for name in codes.get(change.id_code, ()):
                    found[name].append((now, value))
    for name in names:
        if name not in found:
            raise ValueError(f"a wave must be of a signal of {path}, got {name}: look it up there")
    return {name: found[name] for name in names}


def at(changes: Sequence[tuple[int, int]], time: int) -> int:
    """The value at a time, 0 before the first change."""
    return next((value for when, value in reversed(changes) if when <= time), 0)


def edges(clock: Sequence[tuple[int, int]]) -> list[int]:
    """Times at which the clock rises."""
    return [when for when, value in clock if value]


def draw(
    signals: dict[str, list[tuple[int, int]]],
    clock: Sequence[tuple[int, int]],
    *,
    first: int,
    cycles: int,
    caption: str,
    labels: Sequence[str] = (),
    wide: Sequence[str] = (),
) -> str:
    """A figure of HTML with `cycles` cycles from the `first` on.

    A signal is drawn as it is just before the edge that ends the cycle, as registers see it.
    Those in `wide` are drawn as values, in hexadecimal.
    """
    times = [t - 1 for t in edges(clock)[first + 1 : first + cycles + 1]]
    width, height = LABEL + STEP * len(times) + 10, ROW * len(signals) + 24
    parts = []
    for i in range(0, len(times), 4):
        x = LABEL + STEP * i
        parts.append(f'<text x="{x + 3}" y="12" class="wave-tick">{first + i}</text>')
        parts.append(f'<path d="M{x} 16V{height}" class="wave-grid"/>')
    for row, (name, changes) in enumerate(signals.items()):
        top = 22 + ROW * row
        label = labels[row] if labels else name
        parts.append(
            f'<text x="{LABEL - 8}" y="{top + 14}" class="wave-name">{escape(label)}</text>'
        )
        values = [at(changes, time) for time in times]
        parts += _bus(values, top) if name in wide else _bit(values, top)
    body = "".join(parts)
    return (
        f'<figure class="drawing wave"><svg viewBox="0 0 {width} {height}" width="{width}" '
        f'role="img" aria-label="{escape(caption)}">{body}</svg>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _bit(values: Sequence[int], top: int) -> list[str]:
    level = [top if value else top + HIGH for value in values]
    path = f"M{LABEL} {level[0]}" + "".join(f"V{y}h{STEP}" for y in level)
    return [f'<path d="{path}" class="wave-line"/>']


def _bus(values: Sequence[int], top: int) -> list[str]:
    parts, start = [], 0
    for end in range(1, len(values) + 1):
        if end < len(values) and values[end] == values[start]:
            continue
        x, long = LABEL + STEP * start, STEP * (end - start)
        parts.append(
            f'<path d="M{x} {top + HIGH / 2}l3 {-HIGH / 2}h{long - 6}l3 {HIGH / 2}l-3 {HIGH / 2}'
            f'h{6 - long}z" class="wave-line"/>'
            f'<text x="{x + long / 2}" y="{top + 13}" class="wave-value">{values[start]:x}</text>'
        )
        start = end
    return parts
