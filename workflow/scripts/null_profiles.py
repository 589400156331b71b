"""Deal the random profiles with which the profiles of all of a subject's regions are compared."""

from pathlib import Path

from mine.core.synonyms import name_by_rate
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.randomness import generator
from mine.stages.null_profiles import WEIGHT_VARIABLES, deal_null
from mine.stores import open_store, write_store

log = start_logging(snakemake)
given, params = snakemake.input, snakemake.params
rates = open_store(given.base_rates).load()
names = name_by_rate(rates["base_rate"].values, rates["group"].values)
null = deal_null(
    {
        Path(path).parent.name: open_store(path)[list(WEIGHT_VARIABLES)].sel(fit="all")
        for path in given.profiles
    },
    text=open_store(given.categories)["text"].sel(category=params.categories).values,
    group_text=open_store(given.vocabulary)["text"].values[names],
    generator=generator(params.seed, "preference", snakemake.wildcards.subject),
).assign_coords(category=params.categories)
log.info("%d random profiles", null.sizes["profile"])
write_store(null, snakemake.output.store, provenance=describe_provenance(seed=params.seed))
write_history(snakemake)
