"""Measure whether inserting and removing one region's features shifts its voxels as it should."""

from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.randomness import generator
from mine.stages.counterfactuals import measure_counterfactuals
from mine.stores import open_store, write_store

log = start_logging(snakemake)
params = snakemake.params
counterfactuals = measure_counterfactuals(
    open_store(snakemake.input.edits).drop_vars("pixels").load(),
    generator=generator(params.seed, "counterfactuals", *snakemake.wildcards),
)
share = counterfactuals["effect_roi_share"].sel(model="evaluator", control="random")
log.info("%s", share.to_pandas().round(3).to_string())
provenance = describe_provenance(seed=params.seed)
write_store(counterfactuals, snakemake.output.store, provenance=provenance)
write_history(snakemake)
