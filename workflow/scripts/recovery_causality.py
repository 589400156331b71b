"""List one subject's causal tests, and compare its edits with exactly rendered ones."""

import pandas as pd

from mine.core.evaluator import open_features, predict_responses, weights_from_dataset
from mine.demo.counterfactuals import compare_edits
from mine.demo.recovery import match_voxels
from mine.demo.recovery_causality import tabulate_pairs
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.randomness import generator
from mine.stores import check_models, open_store, write_table

start_logging(snakemake)
given, params = snakemake.input, read_parameters(snakemake)
truth = match_voxels(open_store(given.truth).load(), open_store(given.responses))
images, vocabulary = open_store(given.truth_images), open_store(given.vocabulary)["word"].values
features = open_features(params.evaluator)
check_models(given.evaluator, {"evaluator": features.digest})
weights = weights_from_dataset(open_store(given.evaluator))
pairs, edits = {}, {}
for roi, *paths in zip(
    params.rois, given.sufficiency, given.counterfactuals, given.edits, strict=True
):
    sufficiency, counterfactuals, edited = (open_store(path) for path in paths)
    pairs[roi] = tabulate_pairs(sufficiency.load(), counterfactuals.load(), truth["main"].values)
    edits[roi] = compare_edits(
        edited.drop_vars("pixels").load(),
        truth=truth,
        images=images,
        vocabulary=vocabulary,
        predict=lambda pictures: predict_responses(weights, features, pictures),
        random=generator(params.seed, "exact", snakemake.wildcards.subject, roi),
    )
for tables, path in ((pairs, snakemake.output.pairs), (edits, snakemake.output.edits)):
    table = pd.concat(tables, names=["roi"]).reset_index("roi").reset_index(drop=True)
    table.insert(0, "subject", snakemake.wildcards.subject)
    write_table(table, path)
write_history(snakemake, models={"evaluator": features.digest})
