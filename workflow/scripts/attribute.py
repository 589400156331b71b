"""Attribute every fit's predictions for one region, and patch those of the first on test images."""

import numpy as np

from mine.core.encoder import position_basis, select_voxels, weights_from_dataset
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.randomness import generator
from mine.shards import list_shards, open_images
from mine.stages.attributions import attribute, choose_images, mean_tokens
from mine.stages.faithfulness import FaithfulnessCurves
from mine.stores import open_store, write_store

log = start_logging(snakemake)
given, output, params = snakemake.input, snakemake.output, read_parameters(snakemake)
provenance = describe_provenance(seed=params.seed, libraries=["torch"])
responses = open_store(given.responses)
voxels = open_store(given.rois)["member"].sel(roi=snakemake.wildcards.roi).values.nonzero()[0]
seen, is_test = responses["image"].values, responses["split"].values == "test"
embedded = open_images(list_shards(given.images), seen)
baseline = mean_tokens(lambda block: embedded["tokens"].sel(image=block).values, seen[~is_test])
phi = position_basis(embedded.attrs["rows"], embedded.attrs["columns"], params.position_orders)
options = dict(params.attribution)
most = options.pop("images")

for fit, path, store in zip(params.fits, given.encoder, output.store, strict=True):
    encoder = open_store(path)
    random = generator(params.seed, fit)
    images = choose_images(encoder["image"].values, seen, is_test, most=most, generator=random)
    shown = embedded.sel(image=images)
    curves = None
    if fit == "all":
        curves = FaithfulnessCurves(
            voxels=len(voxels),
            norm=shown["norm"].values,
            measured=responses["response"].sel(image=images).isel(voxel=voxels).values,
            images=np.isin(images, seen[is_test]),
            resamples=params.resamples,
            generator=generator(params.seed, "faithfulness", *snakemake.wildcards),
            **params.faithfulness,
        )
    attributions = attribute(
        select_voxels(weights_from_dataset(encoder), voxels),
        shown["tokens"].values,
        baseline,
        phi,
        keep_lowest=fit == "all",
        on_batch=curves.add if curves else None,
        **options,
    )
    error = float(attributions["completeness_error"].max())
    log.info("%s: %d images, largest completeness error %.1e", fit, len(images), error)
    attributions = attributions.assign_coords(voxel=voxels, image=images)
    meaning = {"long_name": "mean training token at each place, the baseline"}
    attributions["baseline"] = (("token", "feature"), baseline, meaning)
    write_store(attributions, store, provenance=provenance)
    if curves:
        faithfulness = curves.dataset().assign_coords(voxel=voxels)
        write_store(faithfulness, output.faithfulness, provenance=provenance)
    # Two fits' attributions at once would take twice the memory.
    del attributions
write_history(snakemake)
