"""Put the forms of encoders of all subjects into one table."""

from pathlib import Path

from mine.history import write_history
from mine.logging import start_logging
from mine.stages.comparison import tabulate_forms
from mine.stores import open_store, read_table, write_table

start_logging(snakemake)
# <subject>/encoders/scores/<size>.zarr
paths = [Path(path) for path in snakemake.input.scores]
scores = {(path.parts[-4], path.stem): open_store(path).load() for path in paths}
costs = map(read_table, snakemake.input.costs)
write_table(tabulate_forms(scores, costs), snakemake.output[0])
write_history(snakemake)
