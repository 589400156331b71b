"""Insert and remove one region's features in images, and predict what that changes."""

from pathlib import Path

import numpy as np

from mine.core.generation import load_generator
from mine.core.observing import load_observer
from mine.core.readings import Readings, read_presence, split_presence
from mine.datasets import nsd
from mine.logging import announce_parts, start_logging
from mine.provenance import describe_provenance
from mine.stages.editing import plan_edits
from mine.stages.edits import paint_edits, record_edits
from mine.stores import open_images, open_store, write_store

log = start_logging(snakemake)
given, params = snakemake.input, snakemake.params
settings = dict(params.generator)
features, vocabulary = open_store(given.features).load(), open_store(given.vocabulary)
base_rates, rois = open_store(given.base_rates).load(), open_store(given.rois)
responses = open_store(given.responses)
group, training = base_rates["group"].values, responses["split"].values != "test"
largest, _ = read_presence(open_images(given.lens, responses["image"].values[training]), group)
plan = plan_edits(
    features,
    Readings(
        open_images(given.lens, features["image"].values),
        vocabulary["word"].values,
        group,
        settings.pop("prompt"),
    ),
    thresholds=split_presence(largest),
    seed=params.seed,
    **params.counterfactual,
)
images, row = np.unique(plan["image"].values, return_inverse=True)
originals = nsd.open_stimuli(Path(params.root)).read(images)
painter = load_generator(**settings)
parts = announce_parts(log, len(row), size=settings["batch_size"], what="edits")
method = params.counterfactual["method"]
pixels = paint_edits(painter, plan, originals[row], method=method, parts=parts)
observer = load_observer(
    vocabulary=vocabulary,
    encoder=open_store(given.encoder),
    weights=open_store(given.evaluator),
    **params.observer,
)
result = record_edits(
    plan,
    pixels,
    originals=originals,
    row=row,
    edited=observer.observe(pixels),
    before=observer.observe(originals),
    group=group,
    region=rois["member"].sel(roi=snakemake.wildcards.roi).values.nonzero()[0],
)
models = {"generator": painter.digest} | observer.digests
provenance = describe_provenance(seed=params.seed, models=models, libraries=["torch", "diffusers"])
write_store(result, snakemake.output.store, provenance=provenance)
