"""Put what explainers recovered in all subjects into one table."""

import pandas as pd

from mine.demo.recovery_explainers import summarise_explainers
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import write_table

start_logging(snakemake)
voxels = pd.concat(pd.read_csv(path, sep="\t") for path in snakemake.input.voxels)
table = summarise_explainers(voxels.fillna({"main": "", "second": ""}))
write_table(table, snakemake.output[0])
write_history(snakemake)
