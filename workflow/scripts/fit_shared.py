"""Fit MINE's encoder to all subjects together, for the comparison of forms."""

import numpy as np

from mine.core.devices import choose_device
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.shards import list_shards, open_images
from mine.stages.comparison import Subject, fit_shared
from mine.stores import open_store, write_store, write_table

log = start_logging(snakemake)
given, params = snakemake.input, read_parameters(snakemake)
subjects, tests = [], []
for store in given.responses:
    responses = open_store(store).load()
    embedded = open_images(list_shards(given.images), responses["image"].values)
    training = responses["split"].values != "test"
    subjects.append(Subject(embedded["tokens"].values, responses["response"].values, training))
    tests.append(np.asarray(responses["image"].values[~training]))
made = fit_shared(
    subjects,
    size=snakemake.wildcards.size,
    rows=embedded.attrs["rows"],
    columns=embedded.attrs["columns"],
    encoder=params.encoder,
    seed=params.seed,
    device=choose_device(params.encoder["device"], key="encoder.device"),
)
provenance = describe_provenance(seed=params.seed, libraries=["torch"])
outputs = zip(snakemake.output.stores, snakemake.output.costs, strict=True)
for (fitted, cost), images, name, (store, table) in zip(
    made, tests, params.subjects, outputs, strict=True
):
    log.info("%s: chosen: %s", name, fitted.attrs["choices"])
    write_store(fitted.assign_coords(image=images), store, provenance=provenance)
    write_table(cost.assign(subject=name), table)
write_history(snakemake)
