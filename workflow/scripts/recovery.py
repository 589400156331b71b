"""Summarise the recovery of what was planted over all subjects."""

import pandas as pd

from mine.demo.recovery import summarise
from mine.demo.recovery_causality import summarise_causality
from mine.demo.recovery_preference import summarise_preference
from mine.demo.recovery_structure import summarise_structure
from mine.history import write_history
from mine.logging import start_logging
from mine.randomness import generator
from mine.stores import read_table, write_table

start_logging(snakemake)
given, params = snakemake.input, snakemake.params
voxels, scores, preference, structure, pairs, edits = (
    pd.concat(map(read_table, paths))
    for paths in (
        given.voxels,
        given.scores,
        given.preference,
        given.structure,
        given.pairs,
        given.edits,
    )
)
found = summarise(
    voxels,
    scores,
    resamples=params.resamples,
    generator=generator(params.seed, "recovery"),
)
causal = summarise_causality(
    pairs,
    edits,
    resamples=params.resamples,
    generator=generator(params.seed, "recovery", "causality"),
)
preferred = summarise_preference(
    preference,
    resamples=params.resamples,
    generator=generator(params.seed, "recovery", "preference"),
)
structural = summarise_structure(
    structure,
    resamples=params.resamples,
    generator=generator(params.seed, "recovery", "structure"),
)
table = pd.concat([found, preferred, structural, causal], ignore_index=True)
write_table(table, snakemake.output[0])
write_history(snakemake)
