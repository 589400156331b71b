"""Put what explainers recovered in all subjects into one table."""

import pandas as pd

from mine.demo.recovery_explainers import summarise_explainers
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import read_table, write_table

start_logging(snakemake)
table = summarise_explainers(pd.concat(map(read_table, snakemake.input.voxels)))
write_table(table, snakemake.output[0])
write_history(snakemake)
