"""Count how often each word is read over the training images, and group near-synonyms."""

from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.shards import list_shards
from mine.stages.embeddings import measure_base_rates
from mine.stores import open_store, write_store

log = start_logging(snakemake)
stimuli = open_store(snakemake.input.stimuli)
base_rates = measure_base_rates(
    map(open_store, list_shards(snakemake.input.lens)),
    stimuli["image"].values[~stimuli["held_out"].values],
    vocabulary=open_store(snakemake.input.vocabulary),
    merge_cosine=snakemake.params.merge_cosine,
)
log.info("%d words in %d groups", base_rates.sizes["word"], base_rates["group"].values.max() + 1)
write_store(base_rates, snakemake.output.store, provenance=describe_provenance())
write_history(snakemake)
