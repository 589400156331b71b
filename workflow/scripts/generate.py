"""Generate pictures from one region's descriptions and controls, and predict responses to them."""

import json
from pathlib import Path

from mine.core.generation import load_generator
from mine.core.observing import load_observer
from mine.datasets import nsd
from mine.logging import announce_parts, start_logging
from mine.provenance import describe_provenance
from mine.randomness import generator
from mine.stages.generation import make_pictures, plan_pictures
from mine.stores import open_store, write_store

log = start_logging(snakemake)
given, params = snakemake.input, snakemake.params
features, vocabulary = open_store(given.features).load(), open_store(given.vocabulary)
captions = open_store(given.stimuli)["captions"].sel(image=features["image"].values).values
plan = plan_pictures(
    features,
    vocabulary["word"].values,
    [json.loads(texts) for texts in captions],
    template=params.prompt,
    quantile=params.features["response_quantile"],
    generator=generator(params.seed, "pictures", *snakemake.wildcards),
    **params.sufficiency,
)
painter = load_generator(**params.generator)
observer = load_observer(
    vocabulary=vocabulary,
    encoder=open_store(given.encoder),
    weights=open_store(given.evaluator),
    **params.observer,
)
size = params.generator["batch_size"]
result = make_pictures(
    plan,
    painter,
    observer,
    nsd.open_stimuli(Path(params.root)).read,
    parts=announce_parts(log, plan.sizes["picture"], size=size, what="pictures"),
)
models = {"generator": painter.digest} | observer.digests
provenance = describe_provenance(seed=params.seed, models=models, libraries=["torch", "diffusers"])
write_store(result, snakemake.output.store, provenance=provenance)
