"""Put into one table how well explanations agree between encoders from different starts."""

from pathlib import Path

from mine.history import write_history
from mine.logging import start_logging
from mine.randomness import generator
from mine.stages.seeds import tabulate_seeds
from mine.stores import open_store, write_table

start_logging(snakemake)
params = snakemake.params
# <subject>/<roi>/seeds.zarr
paths = [Path(path) for path in snakemake.input.seeds]
table = tabulate_seeds(
    {path.parts[-3:-1]: open_store(path).load() for path in paths},
    resamples=params.resamples,
    generator=generator(params.seed, "seeds", "table"),
)
write_table(table, snakemake.output[0])
write_history(snakemake)
