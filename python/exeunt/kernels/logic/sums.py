"""A constant matrix as a graph of additions: shared sums first, then a tree for each row.

Each weight is a few signed powers of two (its canonical signed digits), so a row is a sum of
shifted inputs. The pair of terms that most rows have in common becomes a signal of its own, again
and again (two-term common subexpressions, Hartley 1996); what is left of a row is added up, the
shallowest terms first. A weight of 0 is nothing at all.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from exeunt.graph import IntArray, Integer

TRIES = ("overlap", "saved", "count")  # what is shared first
PAIRS = 1_500_000  # pairs of terms that are looked at; of more, those of near columns alone
Term = tuple[int, int]  # signal, shift
Key = tuple[int, int, int, int, int]  # two signals, their shifts, 1 or -1


@dataclass(frozen=True)
class Add:
    """The signal (a << shift_a) + (b << shift_b), or minus with `minus`."""

    a: int
    b: int
    shift_a: int
    shift_b: int
    minus: bool


@dataclass(frozen=True)
class Output:
    """A row: plus or minus a shifted signal; signal -1 is 0."""

    signal: int
    shift: int = 0
    minus: bool = False


@dataclass(frozen=True)
class Graph:
    """Additions one after another.

    Attributes:
        inputs: signals 0 to inputs - 1.
        adds: signal inputs + k is adds[k].
        outputs: of each row.
        ranges: smallest and largest value of each signal.
        depths: additions on the longest way to each signal.
    """

    inputs: int
    adds: tuple[Add, ...]
    outputs: tuple[Output, ...]
    ranges: tuple[tuple[int, int], ...]
    depths: tuple[int, ...]

    @property
    def depth(self) -> int:
        """Additions on the longest way."""
        return max((self.depths[o.signal] for o in self.outputs if o.signal >= 0), default=0)

    @property
    def luts(self) -> int:
        """LUT of all additions, by `luts_of`."""
        return sum(
            luts_of(add, self.ranges[add.a], self.ranges[add.b], self.ranges[self.inputs + k])
            for k, add in enumerate(self.adds)
        )

    def values(self, x: IntArray) -> IntArray:
        """W x by these additions: int64 (n, inputs) to int64 (n, rows)."""
        found = [np.asarray(x, np.int64)[:, k] for k in range(self.inputs)]
        for add in self.adds:
            a, b = found[add.a] << add.shift_a, found[add.b] << add.shift_b
            found.append(a - b if add.minus else a + b)
        rows = [
            np.zeros(len(x), np.int64) if o.signal < 0
            else (found[o.signal] << o.shift) * (-1 if o.minus else 1)
            for o in self.outputs
        ]  # fmt: skip
        return np.stack(rows, axis=1)


def luts_of(add: Add, a: tuple[int, int], b: tuple[int, int], total: tuple[int, int]) -> int:
    """LUT of an addition on a carry chain, from the ranges of its terms and of what it gives.

    Bits that one term alone has take none: low ones pass beside the chain, and above a term that is
    never negative the carry alone goes on; not so where that term is taken off.
    """
    top = width(total)
    low = max(add.shift_a, add.shift_b)
    if add.minus:
        low = add.shift_b  # below it the other term passes
        return max(top - low, 1)
    ends = [
        top if span[0] < 0 else min(top, width(span) + shift)
        for span, shift in ((a, add.shift_a), (b, add.shift_b))
    ]
    return max(min(ends) - low, 1)


def width(span: tuple[int, int]) -> int:
    """Bits of two's complement, or of an unsigned number where none is below 0."""
    return Integer.covering(*span).bits


def digits(weight: int) -> list[tuple[int, int]]:
    """Canonical signed digits of an integer: (shift, 1 or -1), no two of them side by side."""
    found, shift = [], 0
    while weight:
        if weight & 1:
            sign = 2 - (weight & 3)
            found.append((shift, sign))
            weight -= sign
        weight >>= 1
        shift += 1
    return found


def graph(weights: IntArray, dtype: Integer) -> Graph:
    """The additions of a matrix: those with the fewest LUT of some that are tried.

    Args:
        weights: integers (rows, columns).
        dtype: of the inputs.
    """
    table = np.asarray(weights, np.int64)
    tried = [_Builder(table, dtype, first).graph() for first in TRIES]
    if (table < 0).any() and dtype.min >= 0:
        parts = np.concatenate([np.maximum(table, 0), np.maximum(-table, 0)])
        tried += [_Builder(parts, dtype, first).graph(halves=True) for first in TRIES]
    return min(tried, key=lambda found: found.luts)


class _Builder:
    def __init__(self, weights: IntArray, dtype: Integer, first: str) -> None:
        _, columns = weights.shape
        self._first = first
        self._columns = columns
        self._adds: list[Add] = []
        self._dtype = dtype
        self._forms = [*np.eye(columns, dtype=np.int64)]  # each signal as a sum of inputs
        self._ranges = [(dtype.min, dtype.max)] * columns
        self._depths = [0] * columns
        self._rows: list[dict[Term, int]] = [
            {(c, shift): sign for c, w in enumerate(row.tolist()) for shift, sign in digits(w)}
            for row in weights
        ]
        # signals of one block are looked at together
        size = self._block_size()
        self._block = [c // size for c in range(columns)]
        self._counts: dict[Key, int] = {}
        self._seen: dict[Key, set[int]] = {}  # rows that have had it
        self._heap: list[tuple[float, int, Key]] = []

    def _block_size(self) -> int:
        size = self._columns
        while size > 1:
            pairs = 0
            for row in self._rows:
                counts = Counter(c // size for c, _ in row)
                pairs += sum(n * (n - 1) // 2 for n in counts.values())
            if pairs <= PAIRS:
                break
            size = -(-size // 2)
        return size

    def graph(self, *, halves: bool = False) -> Graph:
        """All of it; with `halves` row k is what the first half gives less what the second does."""
        for number, row in enumerate(self._rows):
            terms = sorted(row)
            for k, one in enumerate(terms):
                self._count(number, one, terms[k + 1 :], 1)
        self._heap = [(self._worth(key, n), n, key) for key, n in self._counts.items() if n > 1]
        heapq.heapify(self._heap)
        while self._heap:
            _, n, key = heapq.heappop(self._heap)
            now = self._counts.get(key, 0)
            if now < 2:
                continue
            if now != n:
                heapq.heappush(self._heap, (self._worth(key, now), now, key))
                continue
            self._share(key)
        outputs = [self._summed(row) for row in self._rows]
        if halves:
            middle = len(outputs) // 2
            pairs = zip(outputs[:middle], outputs[middle:], strict=True)
            outputs = [self._less(one, other) for one, other in pairs]
        return Graph(
            self._columns, tuple(self._adds), tuple(outputs), tuple(self._ranges),
            tuple(self._depths),
        )  # fmt: skip

    def _less(self, one: Output, other: Output) -> Output:
        """A row less another one, neither of them negative."""
        if other.signal < 0:
            return one
        if one.signal < 0:
            return Output(other.signal, other.shift, minus=True)
        base = min(one.shift, other.shift)
        shifts = one.shift - base, other.shift - base
        return Output(self._add(one.signal, other.signal, *shifts, minus=True), base)

    def _count(self, number: int, one: Term, others: Iterable[Term], by: int) -> None:
        """Count the pairs of a term and others of a row, of those in one block."""
        row, blocks, counts = self._rows[number], self._block, self._counts
        signal, shift = one
        block, sign = blocks[signal], row[one]
        for other in others:
            left, far = other
            if blocks[left] != block:
                continue
            base = min(shift, far)
            if one <= other:
                key = signal, left, shift - base, far - base, sign * row[other]
            else:
                key = left, signal, far - base, shift - base, sign * row[other]
            n = counts.get(key, 0) + by
            counts[key] = n
            if by > 0:
                self._seen.setdefault(key, set()).add(number)
                if self._heap and n > 1:
                    heapq.heappush(self._heap, (self._worth(key, n), n, key))

    def _worth(self, key: Key, n: int) -> float:
        """The smaller the sooner it is shared, if `n` places have it."""
        a, b, shift_a, shift_b, sign = key
        if self._first == "count":
            return -n
        spans = self._ranges[a], self._ranges[b]
        if self._first == "overlap":
            ends = [width(s) + shift for s, shift in zip(spans, (shift_a, shift_b), strict=True)]
            return -n * max(0, min(ends) - max(shift_a, shift_b))
        add = Add(a, b, shift_a, shift_b, sign < 0)
        return -(n - 1) * luts_of(add, *spans, _total(add, *spans))

    def _places(self, row: dict[Term, int], key: Key) -> Iterator[tuple[Term, Term]]:
        """Pairs of a row that are of the kind `key`, none with a term of another one."""
        a, b, shift_a, shift_b, sign = key
        taken: set[Term] = set()
        for term in sorted(t for t in row if t[0] == a):
            base = term[1] - shift_a
            other = b, base + shift_b
            if base < 0 or other not in row or term == other or row[term] * row[other] != sign:
                continue
            if term not in taken and other not in taken:
                taken |= {term, other}
                yield term, other

    def _share(self, key: Key) -> None:
        found = [
            (number, *pair)
            for number in sorted(self._seen[key])
            for pair in self._places(self._rows[number], key)
        ]
        if len(found) < 2:
            self._counts[key] = 0
            return
        a, b, shift_a, shift_b, sign = key
        signal = self._add(a, b, shift_a, shift_b, minus=sign < 0)
        self._block.append(self._block[a])
        for number, one, other in found:
            row = self._rows[number]
            rest = [left for left in row if left != one]
            self._count(number, one, rest, -1)
            self._count(number, other, (left for left in rest if left != other), -1)
            first = row[one]
            base = one[1] - shift_a
            del row[one], row[other]
            new = signal, base
            row[new] = first
            self._count(number, new, (left for left in row if left != new), 1)
        self._counts[key] = 0

    def _add(self, a: int, b: int, shift_a: int, shift_b: int, *, minus: bool) -> int:
        self._adds.append(Add(a, b, shift_a, shift_b, minus))
        other = self._forms[b] << shift_b
        form = (self._forms[a] << shift_a) + (-other if minus else other)
        up, down = int(form[form > 0].sum()), int(form[form < 0].sum())
        low, high = self._dtype.min, self._dtype.max
        self._forms.append(form)
        self._ranges.append((up * low + down * high, up * high + down * low))
        self._depths.append(max(self._depths[a], self._depths[b]) + 1)
        return len(self._ranges) - 1

    def _summed(self, row: dict[Term, int]) -> Output:
        """What is left of a row, added up: shallow terms first, then narrow ones."""
        if not row:
            return Output(-1)
        heap = [self._term(s, shift, sign) for (s, shift), sign in row.items()]
        heapq.heapify(heap)
        while len(heap) > 1:
            *_, shift_a, a, sign_a = heapq.heappop(heap)
            *_, shift_b, b, sign_b = heapq.heappop(heap)
            if sign_a < sign_b:
                a, b, shift_a, shift_b, sign_a, sign_b = b, a, shift_b, shift_a, sign_b, sign_a
            base = min(shift_a, shift_b)
            s = self._add(a, b, shift_a - base, shift_b - base, minus=sign_a != sign_b)
            self._block.append(-1)
            heapq.heappush(heap, self._term(s, base, sign_a))
        *_, shift, signal, sign = heap[0]
        return Output(signal, shift, sign < 0)

    def _term(self, signal: int, shift: int, sign: int) -> tuple[int, int, int, int, int]:
        """A term in the order in which they are added: shallow, narrow, near ones."""
        return self._depths[signal], width(self._ranges[signal]) + shift, shift, signal, sign


def _total(add: Add, a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """The range of a sum of terms with these ranges."""
    low, high = b[0] << add.shift_b, b[1] << add.shift_b
    low, high = (-high, -low) if add.minus else (low, high)
    return (a[0] << add.shift_a) + low, (a[1] << add.shift_a) + high
