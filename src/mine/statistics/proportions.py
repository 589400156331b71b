"""Shares of voxels, regions or subjects, with binomial intervals."""

from __future__ import annotations

# scipy.stats takes a second to import: as an attribute of scipy it is loaded when first used.
import scipy


def share_interval(
    count: int, total: int, *, level: float = 0.95, method: str = "wilson"
) -> tuple[float, float]:
    """Binomial interval (low, high) of the share count / total; nan for none of none.

    method: "wilson", which covers the share at about its level (Wilson 1927), or "exact", at its
    level or above (Clopper & Pearson 1934). What is counted has to be independent for that, which
    voxels are only in part.
    """
    if total == 0:
        return float("nan"), float("nan")
    low, high = scipy.stats.binomtest(int(count), int(total)).proportion_ci(level, method)
    return float(low), float(high)
