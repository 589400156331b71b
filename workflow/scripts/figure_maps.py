"""Draw what one subject's voxels prefer, and their clusters, on slices of its brain."""

from pathlib import Path

import nibabel
import numpy as np

from mine.datasets import nsd
from mine.figures.maps import draw_maps, map_clusters, map_preferences, tabulate_maps
from mine.figures.style import save_figure
from mine.logging import start_logging
from mine.stores import open_store, write_table

start_logging(snakemake)
given, output, params = snakemake.input, snakemake.output, snakemake.params
responses = open_store(given.responses)
shape, affine = tuple(responses.attrs["shape"]), np.array(responses.attrs["affine"])
mask = np.zeros(shape, dtype=bool)
mask[tuple(responses["ijk"].values.T)] = True
volume = np.asarray(nibabel.load(given.preference).dataobj)
clusters = map_clusters([np.asarray(nibabel.load(path).dataobj) for path in given.clusters])
maps = map_preferences(volume, params.categories)
maps += [] if clusters is None else [clusters]
subject = snakemake.wildcards.subject
background = nsd.read_mean(
    Path(params.dataset["root"]),
    subject,
    space=params.dataset["space"],
    shape=shape,
    affine=affine,
)
figure = draw_maps(maps, mask=mask, affine=affine, background=background, subject=subject)
save_figure(figure, png=output.png, pdf=output.pdf)
write_table(tabulate_maps(maps), output.table)
