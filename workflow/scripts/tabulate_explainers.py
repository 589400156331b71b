"""Put what explainers recovered in all subjects into one table."""

import pandas as pd

from mine.demo.recovery_explainers import summarise_explainers
from mine.history import write_history
from mine.logging import start_logging
from mine.randomness import generator
from mine.stores import write_table

start_logging(snakemake)
params = snakemake.params
voxels = pd.concat(pd.read_csv(path, sep="\t") for path in snakemake.input.voxels)
table = summarise_explainers(
    voxels.fillna({"main": "", "second": ""}),
    resamples=params.resamples,
    generator=generator(params.seed, "recovery", "explainers"),
)
write_table(table, snakemake.output[0])
write_history(snakemake)
