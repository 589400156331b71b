"""Attribute every fit's predictions for one region, and patch those of the first on test images."""

from mine.core.encoder import position_basis, select_voxels, weights_from_dataset
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.randomness import generator
from mine.stages.attributions import attribute, choose_images, mean_tokens
from mine.stages.faithfulness import measure_faithfulness
from mine.stores import open_images, open_store, write_store

log = start_logging(snakemake)
params, wildcards = snakemake.params, snakemake.wildcards
provenance = describe_provenance(seed=params.seed, libraries=["torch"])
responses = open_store(snakemake.input.responses)
rois = open_store(snakemake.input.rois)
voxels = rois["member"].sel(roi=wildcards.roi).values.nonzero()[0]
seen = responses["image"].values
test = seen[responses["split"].values == "test"]
embedded = open_images(snakemake.input.images, seen)
baseline = mean_tokens(embedded["tokens"].sel(image=seen[responses["split"].values != "test"]))
phi = position_basis(embedded.attrs["rows"], embedded.attrs["columns"], params.position_orders)
passing = dict(params.attribution)
kept = round(passing.pop("token_fraction") * embedded.sizes["token"])
most = passing.pop("images")

for fit, path in zip(params.fits, snakemake.output.store, strict=True):
    encoder = open_store(snakemake.input.encoder[params.fits.index(fit)])
    weights = select_voxels(weights_from_dataset(encoder), voxels)
    # An encoder of a half is read on the images of its half alone, so that the halves stay apart.
    images = seen if fit.startswith("all") else encoder["image"].values
    images = choose_images(images, test, most=most, generator=generator(params.seed, fit))
    dataset = attribute(
        weights,
        embedded["tokens"].sel(image=images).values,
        baseline,
        phi,
        tokens_kept=kept,
        lowest_kept=kept if fit == "all" else 0,
        **passing,
    )
    log.info(
        "%s: %d images, largest completeness error %.1e",
        fit,
        len(images),
        float(dataset["completeness_error"].max()),
    )
    write_store(dataset.assign_coords(voxel=voxels, image=images), path, provenance=provenance)
    if fit == "all":
        shown = embedded.sel(image=test)
        faithfulness = measure_faithfulness(
            weights,
            shown["tokens"].values,
            baseline,
            phi,
            norm=shown["norm"].values,
            measured=responses["response"].sel(image=test).isel(voxel=voxels).values,
            fractions=params.faithfulness["fractions"],
            rankings=params.faithfulness["rankings"],
            resamples=params.resamples,
            generator=generator(params.seed, "faithfulness", *wildcards),
            **passing,
        )
        write_store(
            faithfulness.assign_coords(voxel=voxels),
            snakemake.output.faithfulness,
            provenance=provenance,
        )
