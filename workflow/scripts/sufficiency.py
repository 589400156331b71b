"""Measure whether one region's generated pictures drive its voxels as the originals did."""

from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.randomness import generator
from mine.stages.sufficiency import measure_sufficiency, measured_originals
from mine.stores import open_store, write_store

log = start_logging(snakemake)
params = snakemake.params
generated = open_store(snakemake.input.generated).drop_vars("pixels").load()
sufficiency = measure_sufficiency(
    generated,
    measured=measured_originals(generated, open_store(snakemake.input.responses)),
    generator=generator(params.seed, "sufficiency", *snakemake.wildcards),
)
log.info("%s", sufficiency["roi_share"].to_pandas().round(3).to_string())
provenance = describe_provenance(seed=params.seed)
write_store(sufficiency, snakemake.output.store, provenance=provenance)
write_history(snakemake)
