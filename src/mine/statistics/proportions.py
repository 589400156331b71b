"""Shares of voxels, regions or subjects, with binomial intervals."""

from __future__ import annotations

# scipy.stats takes a second to import: as an attribute of scipy it is loaded when first used.
import scipy

from mine.statistics.arithmetic import INTERVAL_LEVEL


def share_interval(count: int, total: int) -> tuple[float, float]:
    """Wilson's 95% interval (low, high) of the share count / total; nan for none of none.

    It covers the share at about its level (Wilson 1927). What is counted has to be independent for
    that, which voxels are only in part.
    """
    if total == 0:
        return float("nan"), float("nan")
    test = scipy.stats.binomtest(int(count), int(total))
    low, high = test.proportion_ci(INTERVAL_LEVEL, method="wilson")
    return float(low), float(high)
