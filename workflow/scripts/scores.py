"""Score the encoder and the baselines on the test images, by voxel and by region."""

import xarray as xr

from mine.core.encoder import position_basis, predict, weights_from_dataset
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.shards import list_shards, open_images
from mine.stages.scoring import score_intervals, score_predictions, score_roi
from mine.stores import open_store, write_store

log = start_logging(snakemake)
params = snakemake.params
responses = open_store(snakemake.input.responses)
test = responses.isel(image=responses["split"].values == "test").load()
embedded = open_images(list_shards(snakemake.input.images), test["image"].values)
encoder = open_store(snakemake.input.encoder).load()
baselines = open_store(snakemake.input.baselines).load()
rois = open_store(snakemake.input.rois).load()
phi = position_basis(embedded.attrs["rows"], embedded.attrs["columns"], params.position_orders)
predictions = {"mine": predict(weights_from_dataset(encoder), embedded["tokens"].values, phi)}
predictions |= {
    str(model): baselines["prediction"].sel(model=model).values
    for model in baselines["model"].values
}
measured, ceiling = test["response"].values, test["noise_ceiling"].values
draws = {"resamples": params.resamples, "seed": params.seed}
by_voxel = score_predictions(predictions, measured, ceiling, **draws)
members, names = rois["member"].values, [str(roi) for roi in rois["roi"].values]
by_roi = score_roi(predictions, measured, ceiling, members, rois=names, **draws)
deviation = encoder["residual_deviation"].values
sure = score_intervals(predictions["mine"], measured, deviation, members, rois=names, **draws)
scores = xr.merge([by_voxel, by_roi, sure, test[["noise_ceiling"]]])
log.info("%s", by_roi["roi_r2_normalised"].to_pandas().round(3).to_string())
write_store(scores, snakemake.output.store, provenance=describe_provenance(seed=params.seed))
write_history(snakemake)
