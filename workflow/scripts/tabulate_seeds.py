"""Put into one table how well explanations agree between encoders from different starts, and what
is left of them where an encoder has learned nothing."""

from pathlib import Path

from mine.history import write_history
from mine.logging import start_logging
from mine.stages.profiles import qualify_voxels
from mine.stages.seeds import tabulate_seeds
from mine.stores import open_store, write_table

start_logging(snakemake)
given, params = snakemake.input, snakemake.params
# <subject>/<roi>/<store>.zarr
compared = {Path(path).parts[-3:-1]: open_store(path).load() for path in given.seeds}
described = {Path(path).parts[-3:-1]: open_store(path)["described"].load() for path in given.random}
predicted = {}
for name, first, second, store in zip(
    params.subjects, given.first_shuffled, given.second_shuffled, given.baselines, strict=True
):
    held_out = tuple(open_store(half)["held_out_z"].values for half in (first, second))
    semantic = open_store(store)["semantic_p"].values
    level = params.false_discovery_rate
    predicted[name], _ = qualify_voxels(held_out, semantic, false_discovery_rate=level)
write_table(tabulate_seeds(compared, described, predicted), snakemake.output[0])
write_history(snakemake)
