"""Fit a subject as mixtures of the voxels of the others, for the comparison of forms."""

import numpy as np

from mine.core.devices import choose_device
from mine.core.encoder import weights_from_dataset
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.shards import list_shards, open_images
from mine.stages.comparison import Subject, fit_transfer
from mine.stores import open_store, write_store, write_table

start_logging(snakemake)
given, params = snakemake.input, read_parameters(snakemake)
responses = open_store(given.responses).load()
embedded = open_images(list_shards(given.images), responses["image"].values)
training = responses["split"].values != "test"
device = choose_device(params.encoder["device"], key="encoder.device")
fitted, cost = fit_transfer(
    weights_from_dataset(open_store(given.others).load(), device=device),
    Subject(embedded["tokens"].values, responses["response"].values, training),
    size=snakemake.wildcards.size,
    rows=embedded.attrs["rows"],
    columns=embedded.attrs["columns"],
    position_orders=params.encoder["position_orders"],
    seed=params.seed,
)
provenance = describe_provenance(seed=params.seed, libraries=["torch"])
images = np.asarray(responses["image"].values[~training])
write_store(fitted.assign_coords(image=images), snakemake.output.store, provenance=provenance)
write_table(cost.assign(subject=snakemake.wildcards.subject), snakemake.output.cost)
write_history(snakemake)
