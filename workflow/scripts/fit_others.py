"""Fit MINE's encoder to all subjects but one, whose voxels are to be mixtures of theirs."""

from mine.core.devices import choose_device
from mine.core.encoder import weights_to_dataset
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.shards import list_shards, open_images
from mine.stages.comparison import Subject, fit_others
from mine.stores import open_store, write_store

start_logging(snakemake)
given, params = snakemake.input, read_parameters(snakemake)
others = []
for store in given.responses:
    responses = open_store(store).load()
    embedded = open_images(list_shards(given.images), responses["image"].values)
    training = responses["split"].values != "test"
    others.append(Subject(embedded["tokens"].values, responses["response"].values, training))
known = fit_others(
    others,
    rows=embedded.attrs["rows"],
    columns=embedded.attrs["columns"],
    encoder=params.encoder,
    members=params.members,
    seed=params.seed,
    device=choose_device(params.encoder["device"], key="encoder.device"),
)
provenance = describe_provenance(seed=params.seed, libraries=["torch"])
write_store(weights_to_dataset(known), snakemake.output.store, provenance=provenance)
write_history(snakemake)
