"""Find which of a subject's voxels belong to which region."""

from pathlib import Path

from mine.datasets import nsd
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.stores import open_store, write_store

log = start_logging(snakemake)
params = snakemake.params
rois = nsd.read_rois(
    Path(params.dataset["root"]),
    snakemake.wildcards.subject,
    rois=params.rois,
    voxels=nsd.voxels_of(open_store(snakemake.input.responses)),
    t_threshold=params.dataset["localiser_threshold"],
)
for name, reason in zip(rois.attrs["absent"], rois.attrs["absent_reason"], strict=True):
    log.warning("%s left out: %s", name, reason)
write_store(rois, snakemake.output.store, provenance=describe_provenance(seed=params.seed))
