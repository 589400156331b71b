"""Score the forms of encoders on a subject's test images, by voxel and by region."""

import numpy as np
import xarray as xr

from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.sections import ALL
from mine.stages.comparison import score_correlations
from mine.stages.scoring import score_predictions, score_roi
from mine.stores import open_store, write_store

log = start_logging(snakemake)
given, params = snakemake.input, snakemake.params
responses = open_store(given.responses)
test = responses.isel(image=responses["split"].values == "test").load()
rois = open_store(given.rois).load()
fitted = dict(zip(params.forms, map(open_store, given.forms), strict=True))
predictions = {
    form: own["prediction"].sel(image=test["image"]).values for form, own in fitted.items()
}
measured, ceiling = test["response"].values, test["noise_ceiling"].values
members = np.vstack([rois["member"].values, np.ones(len(ceiling), dtype=bool)])
names = [*map(str, rois["roi"].values), ALL]
draws = {"resamples": params.resamples, "seed": params.seed}
by_voxel = score_predictions(predictions, measured, ceiling, **draws)
by_roi = score_roi(predictions, measured, ceiling, members, rois=names, **draws).merge(
    score_correlations(predictions, measured, members, rois=names, **draws)
)
scores = xr.merge([by_voxel, by_roi, test[["noise_ceiling"]]])
for name, text in (
    ("parameters", "numbers that were fitted"),
    ("training_images", "training images that were used, with those of validation"),
):
    values = [own.attrs[name] for own in fitted.values()]
    scores[name] = ("model", values, {"long_name": text, "units": "1"})
log.info("%s", by_roi["roi_r2_normalised"].to_pandas().round(3).to_string())
write_store(scores, snakemake.output.store, provenance=describe_provenance(seed=params.seed))
write_history(snakemake)
