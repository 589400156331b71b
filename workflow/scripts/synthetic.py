"""Predict a subject's responses to the images of NSD-synthetic, and score the predictions."""

import numpy as np
import xarray as xr

from mine.core.backbone import open_backbone
from mine.core.encoder import position_basis, weights_from_dataset
from mine.datasets.reader import open_dataset
from mine.datasets.voxels import voxels_of
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.shards import list_shards
from mine.stages.responses import build_unseen
from mine.stages.scoring import score_predictions, score_roi
from mine.stages.synthetic import predict_images
from mine.stores import check_backbone, open_store, write_store

log = start_logging(snakemake)
given, params = snakemake.input, read_parameters(snakemake)
voxels = voxels_of(open_store(given.responses))
recording, stimuli = open_dataset(params.dataset).read_unseen(snakemake.wildcards.subject, voxels)
unseen = build_unseen(recording)
backbone = open_backbone(params.backbone)
check_backbone(list_shards(given.images)[0], backbone)
prediction = predict_images(
    backbone,
    weights_from_dataset(open_store(given.encoder).load(), device=str(backbone.device)),
    position_basis(backbone.rows, backbone.columns, params.position_orders),
    unseen["image"].values,
    stimuli.read,
    batch_size=params.backbone["batch_size"],
)
measured, ceiling = unseen["response"].values, unseen["noise_ceiling"].values
draws = {"resamples": params.resamples, "seed": params.seed}
rois = open_store(given.rois).load()
by_roi = score_roi(
    {"mine": prediction},
    measured,
    ceiling,
    rois["member"].values & np.isfinite(measured).all(axis=0),
    rois=[str(roi) for roi in rois["roi"].values],
    **draws,
).drop_vars(["roi_difference", "roi_difference_interval", "reference"])
by_voxel = score_predictions({"mine": prediction}, measured, ceiling, **draws)
predicted = unseen["response"].copy(data=prediction.astype(np.float32))
scores = xr.merge([unseen, predicted.rename("prediction"), by_voxel, by_roi])
scores = scores.assign_attrs(unseen.attrs)
scores["prediction"].attrs = {"long_name": "predicted response", "units": "z"}
log.info("%s", by_roi["roi_r2_normalised"].to_pandas().round(3).to_string())
provenance = describe_provenance(
    seed=params.seed, models={"backbone": backbone.digest}, libraries=["torch"]
)
write_store(scores, snakemake.output.store, provenance=provenance)
write_history(snakemake)
