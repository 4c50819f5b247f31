"""The stream of maps over soft resets, cycle by cycle: the reference of `ex_explain_port`."""

from __future__ import annotations

Word = tuple[int, bool]  # the word, and whether a packet ends with it


class Port:
    """Words of packets on their way to the outside.

    Attributes:
        offer: the word that is offered in this cycle, None: none is.
    """

    def __init__(self) -> None:
        self.offer: Word | None = None
        self._inside = False  # words of a packet have come, its last one has not
        self._cut = False  # that packet gets no more

    @property
    def cutting(self) -> bool:
        """Whether a packet is to be ended by a word of its own."""
        return self._cut

    def ready(self, *, taken: bool, clear: bool) -> bool:
        """Whether a word is taken in this cycle, if `taken` says that of the one on offer."""
        return (self.offer is None or taken) and not self._cut and not clear

    def step(self, word: Word | None, *, taken: bool, clear: bool) -> None:
        """One cycle.

        Args:
            word: that comes, None: none does.
            taken: the one on offer is taken.
            clear: what feeds the port is reset.
        """
        ready = self.ready(taken=taken, clear=clear)
        free = self.offer is None or taken
        if free:
            self.offer = None
        if ready and word is not None:
            self.offer, self._inside = word, not word[1]
        elif free and self._cut and not clear:
            self.offer, self._inside, self._cut = (0, True), False, False
        self._cut |= clear and self._inside
