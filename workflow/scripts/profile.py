"""Build the profiles of one region, and judge which of them may be believed."""

import numpy as np

from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.shards import list_shards, open_images
from mine.stages.profiles import build_profiles, qualify_voxels
from mine.stores import open_store, write_store

log = start_logging(snakemake)
params, level = snakemake.params, snakemake.params.profile["false_discovery_rate"]
stores = zip(params.parts, snakemake.input.attributions, strict=True)
attributions = {part: open_store(path).load() for part, path in stores}
base_rates = open_store(snakemake.input.base_rates).load()
predicted, semantic = qualify_voxels(
    tuple(open_store(path)["held_out_z"].values for path in snakemake.input.halves),
    open_store(snakemake.input.baselines)["semantic_p"].values,
    false_discovery_rate=level,
)
voxels = attributions["all"]["voxel"].values
responses = open_store(snakemake.input.responses)
responses = responses.isel(image=responses["split"].values != "test")
images = {part: dataset["image"].values for part, dataset in attributions.items()}
training = responses["image"].values
lens = open_images(
    list_shards(snakemake.input.lens), np.unique(np.concatenate([training, *images.values()]))
)
vocabulary = open_store(snakemake.input.vocabulary)
profiles = build_profiles(
    attributions,
    {part: lens.sel(image=own) for part, own in images.items()},
    measured=responses["response"].isel(voxel=voxels).values,
    measured_lens=lens.sel(image=training),
    text=vocabulary["text"].values,
    group=base_rates["group"].values,
    predicted=predicted[voxels],
    semantic=semantic[voxels],
    false_discovery_rate=level,
    reading_reliability=params.profile["reading_reliability"],
    words=params.profile["words"],
    exemplars=params.profile["exemplars"],
    in_list=vocabulary["in_list"].load() if "in_list" in vocabulary else None,
)
log.info("%d of %d voxels described", int(profiles["described"].sum()), len(voxels))
write_store(profiles, snakemake.output.store, provenance=describe_provenance())
write_history(snakemake)
