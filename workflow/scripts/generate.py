"""Generate pictures from one region's descriptions and controls, and predict responses to them."""

import json
from pathlib import Path

import numpy as np

from mine.core.generation import load_generator
from mine.core.observing import load_observer
from mine.datasets import nsd
from mine.logging import announce_parts, start_logging
from mine.provenance import describe_provenance
from mine.randomness import generator
from mine.stages.generation import plan_pictures, planned_images, record_pictures
from mine.stores import open_store, write_store

log = start_logging(snakemake)
given, params = snakemake.input, snakemake.params
settings = dict(params.generator)
template = settings.pop("prompt")
features, vocabulary = open_store(given.features).load(), open_store(given.vocabulary)
captions = open_store(given.stimuli)["captions"].sel(image=features["image"].values).values
plan = plan_pictures(
    features,
    vocabulary["word"].values,
    [json.loads(texts) for texts in captions],
    template=template,
    quantile=params.features["response_quantile"],
    generator=generator(params.seed, "pictures", *snakemake.wildcards),
    **params.sufficiency,
)
prompts, seeds = plan["prompt"].values.tolist(), plan["seed"].values
painter = load_generator(**settings)
parts = announce_parts(log, len(prompts), size=settings["batch_size"], what="pictures")
made = [painter.generate(prompts[part], seeds=seeds[part]) for part in parts]
pixels = np.concatenate(made) if made else np.zeros((0, 1, 1, 3), np.uint8)
observer = load_observer(
    vocabulary=vocabulary,
    encoder=open_store(given.encoder),
    weights=open_store(given.evaluator),
    **params.observer,
)
originals = nsd.open_stimuli(Path(params.root)).read(planned_images(plan["image"]))
result = record_pictures(
    plan,
    pixels,
    observer.observe(pixels)[0],
    observer.observe(originals)[0],
)
models = {"generator": painter.digest} | observer.digests
provenance = describe_provenance(seed=params.seed, models=models, libraries=["torch", "diffusers"])
write_store(result, snakemake.output.store, provenance=provenance)
