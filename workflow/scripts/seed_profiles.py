"""Compare profiles and attributions of one region between encoders from different starts."""

import numpy as np

from mine.core.encoder import (
    position_basis,
    random_encoder,
    select_voxels,
    split_encoder,
    weights_from_dataset,
)
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.randomness import generator
from mine.shards import list_shards, open_images
from mine.stages.attributions import attribute, choose_images, mean_tokens
from mine.stages.seeds import compare_seeds
from mine.statistics.jackknife import divide_images
from mine.stores import open_store, write_store

log = start_logging(snakemake)
given, params = snakemake.input, read_parameters(snakemake)
subject, roi = snakemake.wildcards.subject, snakemake.wildcards.roi
responses = open_store(given.responses)
voxels = open_store(given.rois)["member"].sel(roi=roi).values.nonzero()[0]
training = responses["image"].values[responses["split"].values != "test"]
options = dict(params.attribution)
images = choose_images(
    training,
    training,
    np.zeros(len(training), dtype=bool),
    most=options.pop("images"),
    generator=generator(params.seed, "seeds"),
)
shards = list_shards(given.images)
baseline = mean_tokens(
    lambda block: open_images(shards, block, only=["tokens"])["tokens"].values, training
)
shown, lens = open_images(shards, images), open_images(list_shards(given.lens), images)
group = open_store(given.base_rates)["group"].values
phi = position_basis(shown.attrs["rows"], shown.attrs["columns"], params.position_orders)
mean = weights_from_dataset(open_store(given.encoder).load())
fitted = split_encoder(select_voxels(mean, voxels), params.members)
heads, features, width = fitted[0].key.shape
sizes = {"voxels": len(voxels), "features": features, "heads": heads, "head_width": width}
encoders = {
    "fitted": fitted,
    "random": [
        random_encoder(**sizes, basis=phi.shape[1], seed=int(draw))
        for draw in generator(params.seed, "seeds", "random", subject, roi).integers(2**31, size=2)
    ],
}
compared = compare_seeds(
    {
        kind: [attribute(one, shown["tokens"].values, baseline, phi, **options) for one in each]
        for kind, each in encoders.items()
    },
    lens,
    group,
    responses["noise_ceiling"].values[voxels],
    part=divide_images(len(images), generator=generator(params.seed, "seeds", "parts")),
)
log.info(
    "mean correlation of profiles %s, of attributions %s",
    *(
        compared[f"mean_{name}"].to_series().round(3).to_dict()
        for name in ("own", "attribution_own")
    ),
)
provenance = describe_provenance(seed=params.seed, libraries=["torch"])
write_store(compared.assign_coords(voxel=voxels), snakemake.output.store, provenance=provenance)
write_history(snakemake)
