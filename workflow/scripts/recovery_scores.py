"""Score one subject's predictions beside those of what was planted, the bound."""

import pandas as pd

from mine.core.encoder import position_basis, predict, weights_from_dataset
from mine.demo.recovery import (
    category_members,
    form_members,
    match_voxels,
    predict_bounds,
    tabulate_forms,
    tabulate_scores,
)
from mine.history import write_history
from mine.logging import start_logging
from mine.shards import list_shards, open_images
from mine.stages.scoring import score_roi
from mine.stores import open_store, write_table

start_logging(snakemake)
given, params = snakemake.input, snakemake.params
responses, baselines = open_store(given.responses).load(), open_store(given.baselines)
response, is_test = responses["response"].values, responses["split"].values == "test"
truth = match_voxels(open_store(given.truth).load(), responses)
embedded = open_images(list_shards(given.images), responses["image"].values[is_test])
phi = position_basis(embedded.attrs["rows"], embedded.attrs["columns"], params.position_orders)
weights = weights_from_dataset(open_store(given.encoder))
predictions = {
    "mine": predict(weights, embedded["tokens"].values, phi),
    **{
        str(model): baselines["prediction"].sel(model=model).values
        for model in baselines["model"].values
        if model != "banded"
    },
    **predict_bounds(truth, response, training=~is_test, alphas=params.alphas),
}
members, names = category_members(truth, open_store(given.rois).load())
measured = response[is_test], responses["noise_ceiling"].values
draws = {"resamples": params.resamples, "seed": params.seed}
scores = score_roi(predictions, *measured, members, rois=names, **draws)
# MINE and what was planted alone: by form the other models say nothing that regions do not.
compared = {name: predictions[name] for name in ("mine", "planted_ridge")}
members, names = form_members(truth, members[-1])
by_form = score_roi(compared, *measured, members, rois=names, **draws)
subject = snakemake.wildcards.subject
table = pd.concat([tabulate_scores(scores, subject), tabulate_forms(by_form, subject)])
write_table(table, snakemake.output[0])
write_history(snakemake)
