"""Measure which categories the voxels of one region prefer, by words, responses and localiser."""

from pathlib import Path

from mine.core.synonyms import name_by_rate
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.randomness import generator
from mine.stages.preference import PROFILE_VARIABLES, measure_preference
from mine.stores import open_store, write_store

log = start_logging(snakemake)
given, params, roi = snakemake.input, snakemake.params, snakemake.wildcards.roi
profiles = {
    Path(path).parent.name: open_store(path)[list(PROFILE_VARIABLES)].sel(fit=["all"]).load()
    for path in given.profiles
}
voxels, responses = profiles[roi]["voxel"].values, open_store(given.responses)
measured = responses["response"].isel(image=responses["split"].values == "test", voxel=voxels)
images, rates = measured["image"].values, open_store(given.base_rates).load()
group = rates["group"].values
names = name_by_rate(rates["base_rate"].values, group)
preference = measure_preference(
    profiles,
    roi,
    categories=params.categories,
    text=open_store(given.categories)["text"].sel(category=list(params.categories)).values,
    group_text=open_store(given.vocabulary)["text"].values[names],
    stimuli=open_store(given.stimuli).sel(image=images).load(),
    responses={
        "predicted": open_store(given.attributions)["prediction"].sel(image=images).values.T,
        "measured": measured.values,
    },
    t=open_store(given.rois)["t"].isel(voxel=voxels).load(),
    level=params.false_discovery_rate,
    resamples=params.resamples,
    # Without the region's name: the random profiles are to be the same for all of the subject's.
    generator=generator(params.seed, "preference", snakemake.wildcards.subject),
)
for name, source in preference["label_source"].to_series().items():
    count = int(preference["images"].sel(category=name))
    log.info("%s: %d test images, labels from %s", name, count, source or "nothing: no AUC")
log.info("preferred: %s", preference["roi_preferred"].to_series().to_dict())
write_store(preference, snakemake.output.store, provenance=describe_provenance(seed=params.seed))
write_history(snakemake)
