"""List one subject's voxels with their clusters and with what was planted."""

import numpy as np
import pandas as pd

from mine.core.splits import split_halves
from mine.core.tuning import read_words
from mine.demo.recovery import match_voxels
from mine.demo.recovery_structure import identify_planted, label_voxels, tabulate_structure
from mine.history import write_history
from mine.logging import start_logging
from mine.shards import list_shards, open_images
from mine.stores import open_store, write_table

start_logging(snakemake)
given, params = snakemake.input, snakemake.params
responses = open_store(given.responses)
truth = match_voxels(open_store(given.truth), responses)
image = responses["image"].values[responses["split"].values != "test"]
lens, group = (
    open_images(list_shards(given.lens), image),
    open_store(given.base_rates)["group"].values,
)
halves = [np.searchsorted(image, half) for half in split_halves(image, seed=params.seed)]
planted = truth["response"].sel(image=image)
tables = {}
for roi, path in zip(params.rois, given.structure, strict=True):
    structure = open_store(path).load()
    readings = read_words(lens, group, shared=structure.attrs["shared_group"], most=params.words)
    response = planted.isel(voxel=structure["roi_voxel"].values).values
    identification = identify_planted(response, readings, halves)
    tables[roi] = tabulate_structure(structure, label_voxels(truth), identification)
table = pd.concat(tables, names=["roi"]).reset_index("roi").reset_index(drop=True)
table.insert(0, "subject", snakemake.wildcards.subject)
write_table(table, snakemake.output[0])
write_history(snakemake)
