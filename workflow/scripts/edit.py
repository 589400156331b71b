"""Insert and remove one region's features in images, and predict what that changes."""

from pathlib import Path

from mine.core.generation import load_generator
from mine.core.observing import load_observer
from mine.core.readings import Readings, find_thresholds
from mine.datasets import nsd
from mine.logging import announce_parts, start_logging
from mine.provenance import describe_provenance
from mine.stages.editing import plan_edits
from mine.stages.edits import make_edits
from mine.stores import open_images, open_store, write_store

log = start_logging(snakemake)
given, params = snakemake.input, snakemake.params
features, vocabulary = open_store(given.features).load(), open_store(given.vocabulary)
responses, member = open_store(given.responses), open_store(given.rois)["member"]
group = open_store(given.base_rates)["group"].values
training = responses["image"].values[responses["split"].values != "test"]
shown = open_images(given.lens, features["image"].values)
plan = plan_edits(
    features,
    Readings(shown, vocabulary["word"].values, group, params.prompt),
    thresholds=find_thresholds(open_images(given.lens, training), group),
    seed=params.seed,
    **params.counterfactual,
)
painter = load_generator(**params.generator)
observer = load_observer(
    vocabulary=vocabulary,
    encoder=open_store(given.encoder),
    weights=open_store(given.evaluator),
    **params.observer,
)
size = params.generator["batch_size"]
result = make_edits(
    plan,
    painter,
    observer,
    nsd.open_stimuli(Path(params.root)).read,
    method=params.counterfactual["method"],
    parts=announce_parts(log, plan.sizes["edit"], size=size, what="edits"),
    group=group,
    region=member.sel(roi=snakemake.wildcards.roi).values.nonzero()[0],
)
models = {"generator": painter.digest} | observer.digests
provenance = describe_provenance(seed=params.seed, models=models, libraries=["torch", "diffusers"])
write_store(result, snakemake.output.store, provenance=provenance)
