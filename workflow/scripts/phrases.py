"""Make sentences of the words that the profiles of a region list."""

from mine.core.phrasing import load_phraser
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.stages.phrasing import phrase_profiles
from mine.stores import open_store, write_table

log = start_logging(snakemake)
phrase, digest = load_phraser(**read_parameters(snakemake).phrasing)
table = phrase_profiles(
    open_store(snakemake.input.profiles).load(),
    open_store(snakemake.input.vocabulary)["word"].values.tolist(),
    phrase,
)
kept = (table["sentence"] != "").sum()
log.info("%d of %d sentences add no word; model %s", kept, len(table), digest)
write_table(table, snakemake.output[0])
write_history(snakemake, models={"phrasing": digest})
