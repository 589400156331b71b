"""Measure which categories the voxels of one region prefer, by words, responses and localiser."""

from pathlib import Path

from mine.core.preference import LEAST_IMAGES
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.randomness import generator
from mine.stages.preference import PROFILE_VARIABLES, measure_preference
from mine.stores import open_store, write_store

log = start_logging(snakemake)
given, params, roi = snakemake.input, snakemake.params, snakemake.wildcards.roi
profiles = {
    Path(path).parent.name: open_store(path)[list(PROFILE_VARIABLES)].load()
    for path in given.profiles
}
voxels, responses = profiles[roi]["voxel"].values, open_store(given.responses)
measured = responses["response"].isel(image=responses["split"].values == "test", voxel=voxels)
images = measured["image"].values
preference = measure_preference(
    profiles,
    roi,
    null=open_store(given.null)["cosine"].values,
    categories=params.categories,
    text=open_store(given.categories)["text"].sel(category=list(params.categories)).values,
    stimuli=open_store(given.stimuli).sel(image=images).load(),
    responses={
        "predicted": open_store(given.attributions)["prediction"].sel(image=images).values.T,
        "measured": measured.values,
    },
    t=open_store(given.rois)["t"].isel(voxel=voxels).load(),
    level=params.false_discovery_rate,
    resamples=params.resamples,
    generator=generator(params.seed, "preference", *snakemake.wildcards),
)
for name, source in preference["label_source"].to_series().items():
    carry, lack = (int(preference[of].sel(category=name)) for of in ("images", "other_images"))
    known = min(carry, lack) >= LEAST_IMAGES
    few = "" if known else f": no AUC, which needs {LEAST_IMAGES} of either"
    told = "%s: %d test images carry it and %d lack it, labels from %s%s"
    log.info(told, name, carry, lack, source or "nothing", few)
log.info("preferred: %s", preference["roi_preferred"].to_series().to_dict())
write_store(preference, snakemake.output.store, provenance=describe_provenance(seed=params.seed))
write_history(snakemake)
