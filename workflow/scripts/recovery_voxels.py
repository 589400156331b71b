"""Score the words and places found for each voxel of one subject against what was planted."""

from mine.demo.recovery import match_voxels, score_voxels
from mine.explainers.weight_projection import read_weights
from mine.history import write_history
from mine.logging import start_logging
from mine.shards import list_shards, open_images
from mine.stores import open_store, write_table

start_logging(snakemake)
given, rois = snakemake.input, snakemake.params.rois
responses = open_store(given.responses).load()
is_test = responses["split"].values == "test"
embedded = open_images(list_shards(given.images), responses["image"].values, only=["pooled"])
vocabulary = open_store(given.vocabulary)
ridge_words = read_weights(
    open_store(given.baselines)["ridge_weight"].values,
    embedded["pooled"].values[~is_test],
    vocabulary["text"].values,
).argmax(axis=1)
voxels = score_voxels(
    match_voxels(open_store(given.truth).load(), responses),
    open_store(given.truth_images),
    profiles=dict(zip(rois, map(open_store, given.profiles), strict=True)),
    controls=dict(zip(rois, map(open_store, given.controls), strict=True)),
    attributions=dict(zip(rois, map(open_store, given.attributions), strict=True)),
    noise_ceiling=responses["noise_ceiling"].values,
    ridge_words=ridge_words,
    vocabulary=vocabulary["word"].values,
    test=responses["image"].values[is_test],
    grid=(embedded.attrs["rows"], embedded.attrs["columns"]),
)
voxels.insert(0, "subject", snakemake.wildcards.subject)
write_table(voxels, snakemake.output[0])
write_history(snakemake)
