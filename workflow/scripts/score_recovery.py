"""Score one subject against what was planted in it."""

from mine.core.encoder import position_basis, predict, weights_from_dataset
from mine.demo.recovery import (
    category_members,
    match_voxels,
    predict_bounds,
    read_ridge_words,
    score_voxels,
    tabulate_scores,
)
from mine.logging import start_logging
from mine.stages.encoder import score_roi
from mine.stores import open_images, open_store

start_logging(snakemake)
given, params, subject = snakemake.input, snakemake.params, snakemake.wildcards.subject
responses = open_store(given.responses).load()
images, is_test = responses["image"].values, responses["split"].values == "test"
rois, baselines = open_store(given.rois).load(), open_store(given.baselines).load()
truth = match_voxels(open_store(given.truth).load(), responses)
embedded = open_images(given.images, images)
grid = embedded.attrs["rows"], embedded.attrs["columns"]
vocabulary = open_store(given.vocabulary).load()
by_roi = {
    name: dict(zip(params.rois, map(open_store, given[name]), strict=True))
    for name in ("profiles", "controls", "attributions")
}
voxels = score_voxels(
    truth,
    open_store(given.truth_images),
    **by_roi,
    noise_ceiling=responses["noise_ceiling"].values,
    ridge_words=read_ridge_words(
        baselines["ridge_weight"].values, embedded["pooled"].values[~is_test], vocabulary
    ),
    vocabulary=vocabulary["word"].values,
    test=images[is_test],
    grid=grid,
)
voxels.insert(0, "subject", subject)
voxels.to_csv(snakemake.output.voxels, sep="\t", index=False, float_format="%.6g")

weights = weights_from_dataset(open_store(given.encoder))
phi = position_basis(*grid, params.position_orders)
predictions = {"mine": predict(weights, embedded["tokens"].values[is_test], phi)}
for model in ("ridge", "caption"):
    predictions[model] = baselines["prediction"].sel(model=model).values
predictions |= predict_bounds(
    truth, responses["response"].values, training=~is_test, alphas=params.alphas
)
members, names = category_members(truth, rois)
scores = score_roi(
    predictions,
    responses["response"].values[is_test],
    responses["noise_ceiling"].values,
    members,
    rois=names,
    resamples=params.resamples,
    seed=params.seed,
)
tabulate_scores(scores, subject).to_csv(
    snakemake.output.scores, sep="\t", index=False, float_format="%.6g"
)
