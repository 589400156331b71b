"""The statistics of every stage, one subject a module.

- ceiling: noise-ceiling signal-to-noise ratio and noise ceiling
- scores: R² and Pearson correlation
- curves: area under a curve
- bootstrap: resampled images, percentile intervals
- jackknife: images left out, intervals of correlations between noisy readings
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
