"""Insert and remove one region's features in images, and predict what that changes."""

from pathlib import Path

import numpy as np

from mine.core.generation import load_generator
from mine.core.masks import to_pixels
from mine.core.observing import load_observer
from mine.core.readings import read_presence, split_presence
from mine.core.similarity import outside_similarity
from mine.datasets import nsd
from mine.logging import announce_parts, start_logging
from mine.provenance import describe_provenance
from mine.stages.editing import Readings, plan_edits, record_edits
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
before = originals[row]
masks = to_pixels(plan["mask"].values, height=before.shape[1], width=before.shape[2])
prompts, negative = plan["prompt"].values.tolist(), plan["negative"].values.tolist()
painter, pixels = load_generator(**settings), np.empty_like(before)
instructions, seeds = plan["instruction"].values.tolist(), plan["seed"].values
by_instruction = params.counterfactual["method"] == "instruction"
for part in announce_parts(log, len(before), size=settings["batch_size"], what="edits"):
    shown, told = before[part], {"seeds": seeds[part]}
    pixels[part] = (
        painter.instruct(shown, instructions[part], **told)
        if by_instruction
        else painter.inpaint(shown, masks[part], prompts[part], negative=negative[part], **told)
    )
observer = load_observer(
    params.backbone,
    params.evaluator,
    vocabulary=vocabulary,
    words_per_token=params.words_per_token,
    encoder=open_store(given.encoder),
    position_orders=params.position_orders,
    weights=open_store(given.evaluator),
)
result = record_edits(
    plan,
    pixels,
    edited=observer.observe(pixels),
    before=observer.observe(originals),
    row=row,
    group=group,
    outside_similarity=np.array(list(map(outside_similarity, before, pixels, masks))),
    region=rois["member"].sel(roi=snakemake.wildcards.roi).values.nonzero()[0],
)
models = {
    "generator": painter.digest,
    "backbone": observer.backbone.digest,
    "evaluator": observer.features.digest,
}
provenance = describe_provenance(seed=params.seed, models=models, libraries=["torch", "diffusers"])
write_store(result, snakemake.output.store, provenance=provenance)
