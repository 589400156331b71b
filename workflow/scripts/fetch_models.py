"""Fetch the models of one section of the configuration into the hub's cache."""

import pandas as pd

from mine.core.hubs import fetch_models
from mine.handling import add_handling
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import write_table

log = start_logging(snakemake)
section = snakemake.wildcards.section
chosen = add_handling(section, snakemake.params.chosen, snakemake.config)
models = fetch_models(section, chosen)
log.info("%s: in the cache are %s", section, ", ".join(models))
write_table(pd.DataFrame({"model": models}), snakemake.output[0])
write_history(snakemake)
