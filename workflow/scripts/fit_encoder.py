"""Fit one of a subject's encoders."""

from mine.core.devices import choose_device
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.shards import list_shards, open_images
from mine.stages.encoder import fit_subject
from mine.stores import open_store, write_store

log = start_logging(snakemake)
params = read_parameters(snakemake)
responses = open_store(snakemake.input.responses)
responses = responses.isel(image=responses["split"].values != "test").load()
embedded = open_images(list_shards(snakemake.input.images), responses["image"].values)
encoder = fit_subject(
    embedded["tokens"].values,
    responses["response"].values,
    responses["image"].values,
    name=snakemake.wildcards.subject,
    fit=snakemake.wildcards.fit,
    rows=embedded.attrs["rows"],
    columns=embedded.attrs["columns"],
    seed=params.seed,
    **(params.encoder | {"device": choose_device(params.encoder["device"], key="encoder.device")}),
)
log.info(
    "mean validation R² %.3f, best epoch %s",
    float(encoder["validation_r2"].mean()),
    encoder.attrs.get("best_epoch"),
)
provenance = describe_provenance(seed=params.seed, libraries=["torch"])
write_store(encoder, snakemake.output.store, provenance=provenance)
write_history(snakemake)
