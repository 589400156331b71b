"""Fit the encoders of all subjects together, one of each."""

from mine.core.devices import choose_device
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.shards import list_shards, open_images
from mine.stages.encoder import TrainingData, fit_subjects
from mine.stores import open_store, write_store

log = start_logging(snakemake)
given, params = snakemake.input, read_parameters(snakemake)
subjects = []
for name, store in zip(params.subjects, given.responses, strict=True):
    responses = open_store(store)
    responses = responses.isel(image=responses["split"].values != "test").load()
    images = responses["image"].values
    embedded = open_images(list_shards(given.images), images)
    tokens = embedded["tokens"].values
    subjects.append(TrainingData(tokens, responses["response"].values, images, name))
encoders = fit_subjects(
    subjects,
    fit=snakemake.wildcards.fit,
    rows=embedded.attrs["rows"],
    columns=embedded.attrs["columns"],
    seed=params.seed,
    **(params.encoder | {"device": choose_device(params.encoder["device"], key="encoder.device")}),
)
provenance = describe_provenance(seed=params.seed, libraries=["torch"])
for encoder, store in zip(encoders, snakemake.output.stores, strict=True):
    log.info("%s: mean validation R² %.3f", store, float(encoder["validation_r2"].mean()))
    write_store(encoder, store, provenance=provenance)
write_history(snakemake)
