"""Put into one table what other subjects' voxels are worth to a subject with few images."""

from pathlib import Path

import numpy as np

from mine.history import write_history
from mine.logging import start_logging
from mine.sections import ALL
from mine.stages.comparison import tabulate_transfer
from mine.stages.scoring import score_roi
from mine.stores import open_store, write_table

log = start_logging(snakemake)
given, params = snakemake.input, snakemake.params
scores = {}
for name, measured, regions in zip(params.subjects, given.responses, given.rois, strict=True):
    responses, rois = open_store(measured), open_store(regions)
    test = responses.isel(image=responses["split"].values == "test").load()
    # <subject>/encoders/<form>/<size>.zarr
    own = [path for path in map(Path, given.fits) if path.parts[-4] == name]
    voxels = test.sizes["voxel"]
    scores[name] = score_roi(
        {
            f"{path.parent.name}/{path.stem}": open_store(path)["prediction"]
            .sel(image=test["image"])
            .values
            for path in own
        },
        test["response"].values,
        test["noise_ceiling"].values,
        np.vstack([rois["member"].values, np.ones(voxels, dtype=bool)]),
        rois=[*map(str, rois["roi"].values), ALL],
        resamples=params.resamples,
        seed=params.seed,
    )
    log.info("%s\n%s", name, scores[name]["roi_r2_normalised"].to_pandas().round(3).to_string())
table = tabulate_transfer(scores, few=params.few, more=params.more)
write_table(table, snakemake.output[0])
write_history(snakemake)
