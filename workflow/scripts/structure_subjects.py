"""Compare the clusters of each region between subjects."""

from collections import defaultdict
from pathlib import Path

from mine.core.synonyms import name_as_listed
from mine.history import write_history
from mine.logging import start_logging
from mine.stages.structure_subjects import STRUCTURE_VARIABLES, compare_structures
from mine.stores import open_store, write_table

start_logging(snakemake)
given, params = snakemake.input, snakemake.params
structures = defaultdict(dict)
for path in map(Path, given.structure):
    # The matrices of voxels by voxels stay where they are.
    own = open_store(path)[list(STRUCTURE_VARIABLES)].sel(fit=["all"])
    structures[path.parts[-3]][path.parts[-2]] = own.load()
group = open_store(given.base_rates)["group"].values
name = name_as_listed(map(open_store, given.profiles), group)
table = compare_structures(
    structures,
    words=open_store(given.vocabulary)["word"].values[name],
    draws=params.draws,
    seed=params.seed,
)
write_table(table, snakemake.output[0])
write_history(snakemake)
