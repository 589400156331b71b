"""Draw what one subject's voxels prefer, and their clusters, on slices of its brain."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from mine.datasets.maps import fill_volume, read_map
from mine.datasets.reader import open_dataset
from mine.datasets.voxels import VolumeVoxels, voxels_of
from mine.figures.maps import (
    draw_counts,
    draw_maps,
    map_clusters,
    map_preferences,
    place_maps,
    tabulate_maps,
)
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import open_store

log = start_logging(snakemake)
given, output, params = snakemake.input, snakemake.output, snakemake.params
subject = snakemake.wildcards.subject
responses = open_store(given.responses)
voxels = voxels_of(responses)
by_roi = defaultdict(list)
for path in given.clusters:
    by_roi[Path(path).parent.name].append(path)
maps = map_preferences(read_map(given.preference, voxels), params.categories)
clusters = map_clusters([read_map(paths, voxels) for paths in by_roi.values()])
maps += [] if clusters is None else [clusters]
if isinstance(voxels, VolumeVoxels):
    figure = draw_maps(
        place_maps(maps, voxels),
        mask=fill_volume(np.ones(len(voxels), int), voxels) > 0,
        affine=voxels.affine,
        background=open_dataset(params.dataset).read_background(subject, voxels),
        subject=subject,
    )
else:
    geometry = responses.attrs["geometry"]
    log.warning("slices need a volume, and voxels lie in a %s: only counts are drawn", geometry)
    figure = draw_counts(maps, geometry=geometry, subject=subject)
save_figure(figure, tabulate_maps(maps), output.png)
write_history(snakemake)
