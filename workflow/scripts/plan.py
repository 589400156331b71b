"""Plan what is to be made for one region: pictures from words, features inserted and removed."""

import json

from mine.core.alternatives import find_alternatives
from mine.core.readings import Readings, find_thresholds
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.randomness import generator
from mine.shards import list_shards, open_images
from mine.stages.editing import plan_edits
from mine.stages.generation import plan_pictures
from mine.stores import open_store, write_store

log = start_logging(snakemake)
given, params = snakemake.input, snakemake.params
features, vocabulary = open_store(given.features).load(), open_store(given.vocabulary)
words = vocabulary["word"].values
images = features["image"].values
captions = open_store(given.stimuli)["captions"].sel(image=images).values
pictures = plan_pictures(
    features,
    words,
    [json.loads(texts) for texts in captions],
    template=params.prompt,
    words=params.sufficiency["words"],
    images=params.sufficiency["images"],
    quantile=params.response_quantile,
    generator=generator(params.seed, "pictures", *snakemake.wildcards),
)
responses, group = open_store(given.responses), open_store(given.base_rates)["group"].values
training = responses["image"].values[responses["split"].values != "test"]
edits = plan_edits(
    features,
    Readings(open_images(list_shards(given.lens), images), words, group, params.prompt),
    thresholds=find_thresholds(open_images(list_shards(given.lens), training), group),
    alternatives=find_alternatives(
        params.categories,
        open_store(given.categories)["text"].sel(category=list(params.categories)).values,
        words,
        vocabulary["text"].values,
    ),
    seed=params.seed,
    **params.counterfactual,
)
log.info("%d pictures and %d edits", pictures.sizes["picture"], edits.sizes["edit"])
provenance = describe_provenance(seed=params.seed)
write_store(pictures, snakemake.output.pictures, provenance=provenance)
write_store(edits, snakemake.output.edits, provenance=provenance)
write_history(snakemake)
