"""Summarise the recovery of what was planted over all subjects."""

import pandas as pd

from mine.demo.recovery import summarise
from mine.logging import start_logging
from mine.randomness import generator

start_logging(snakemake)
voxels, scores = (
    pd.concat([pd.read_csv(path, sep="\t", keep_default_na=True) for path in paths])
    for paths in (snakemake.input.voxels, snakemake.input.scores)
)
table = summarise(
    voxels.fillna({"main": ""}),
    scores,
    resamples=snakemake.params.resamples,
    generator=generator(snakemake.params.seed, "recovery"),
)
table.to_csv(snakemake.output[0], sep="\t", index=False, float_format="%.6g")
