"""How well an exit's score ranks its right answers above its wrong ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def auroc(
    score: npt.NDArray[np.integer] | npt.NDArray[np.floating], right: npt.NDArray[np.bool_]
) -> float | None:
    """Area under the ROC curve: how likely a right answer has the higher score than a wrong one.

    A tie counts one half. 0.5 is chance, 1.0 a perfect order; thresholds save much where it is
    high.

    Args:
        score: (N,), in any unit.
        right: bool (N,).

    Returns:
        0..1; None where all answers are right or all are wrong.
    """
    if right.all() or not right.any():
        return None
    _, place, tied = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(tied) - (tied - 1) / 2)[place]  # from 1 on, of those in a tie the mean
    good, bad = int(right.sum()), int((~right).sum())
    return float((rank[right].sum() - good * (good + 1) / 2) / (good * bad))
