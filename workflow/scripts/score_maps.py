"""Write how well each voxel of a subject is predicted, a map for each measure."""

import numpy as np

from mine.datasets.maps import write_map
from mine.datasets.voxels import voxels_of
from mine.history import write_history
from mine.logging import start_logging
from mine.stages.score_maps import gather_measures
from mine.stores import open_store

log = start_logging(snakemake)
given, output = snakemake.input, snakemake.output
voxels = voxels_of(open_store(given.responses))
measures = gather_measures(open_store(given.scores), open_store(given.baselines))
for measure, values in measures.items():
    write_map(getattr(output, measure), values, voxels, titles=[measure])
    known = values[np.isfinite(values)]
    middle = f", median {np.median(known):.3f}" if len(known) else ""
    log.info("%s: known of %d of %d voxels%s", measure, len(known), len(voxels), middle)
write_history(snakemake)
