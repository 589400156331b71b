"""The statistics of every stage, one subject a module.

- ceiling: noise-ceiling signal-to-noise ratio and noise ceiling
- scores: R² and Pearson correlation
- curves: area under a curve
- bootstrap: resampled images, percentile intervals
- permutation: paired sign-flip test, that of a prediction's gain, and a bound on its p
- multiple_comparisons: false discovery rate
- effects: Cohen's d_z, d′, with intervals
- discrimination: area under the ROC curve with interval and p
- regression: forward selection
- proportions: shares with binomial intervals
- subjects: means over subjects and over pairs of them

Arrays come as (image, column), where a column is a voxel, a word or any other quantity measured on
every image. Everything is vectorised over columns. The unit is the image, within a subject, but for
`subjects`, where it is the subject.
"""

from mine.statistics.bootstrap import (
    bootstrap_interval,
    bootstrap_mean,
    bootstrap_over_images,
    bootstrap_ratio,
    bootstrap_weights,
    interval,
    stratified_weights,
)
from mine.statistics.ceiling import (
    CLEAR_CEILING,
    LEAST_CEILING,
    ncsnr_from_trials,
    noise_ceiling,
)
from mine.statistics.curves import area_under_curve
from mine.statistics.discrimination import (
    area_under_roc_interval,
    mann_whitney_test,
)
from mine.statistics.effects import (
    LEAST_CLUSTERS,
    clustered_effect,
    clustered_mean,
    d_prime,
    d_prime_interval,
)
from mine.statistics.multiple_comparisons import SIGNIFICANT, benjamini_hochberg
from mine.statistics.permutation import gain_test, sign_flip_bound, sign_flip_test
from mine.statistics.proportions import share_interval
from mine.statistics.regression import Selection, forward_selection, normal_scores
from mine.statistics.scores import (
    correlate_rows,
    pearson,
    pearson_of_means,
    pearson_terms,
    r_squared,
    r_squared_of_means,
    r_squared_terms,
)
from mine.statistics.subjects import (
    PairMean,
    SubjectMean,
    mean_over_pairs,
    mean_over_subjects,
)

__all__ = [
    "CLEAR_CEILING",
    "LEAST_CEILING",
    "LEAST_CLUSTERS",
    "SIGNIFICANT",
    "PairMean",
    "Selection",
    "SubjectMean",
    "area_under_curve",
    "area_under_roc_interval",
    "benjamini_hochberg",
    "bootstrap_interval",
    "bootstrap_mean",
    "bootstrap_over_images",
    "bootstrap_ratio",
    "bootstrap_weights",
    "clustered_effect",
    "clustered_mean",
    "correlate_rows",
    "d_prime",
    "d_prime_interval",
    "forward_selection",
    "gain_test",
    "interval",
    "mann_whitney_test",
    "mean_over_pairs",
    "mean_over_subjects",
    "ncsnr_from_trials",
    "noise_ceiling",
    "normal_scores",
    "pearson",
    "pearson_of_means",
    "pearson_terms",
    "r_squared",
    "r_squared_of_means",
    "r_squared_terms",
    "share_interval",
    "sign_flip_bound",
    "sign_flip_test",
    "stratified_weights",
]
