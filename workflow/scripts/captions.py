"""Embed the captions of every image."""

import json

from mine.core.backbone import open_backbone
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.stages.embeddings import embed_captions
from mine.stores import open_store, write_store

start_logging(snakemake)
params = read_parameters(snakemake)
backbone = open_backbone(params.backbone)
stimuli = open_store(snakemake.input.stimuli)
texts = [json.loads(text) for text in stimuli["captions"].values]
captions = embed_captions(backbone, texts, stimuli["image"].values)
provenance = describe_provenance(
    models={"backbone": backbone.digest},
    libraries=[backbone.library],
)
write_store(captions, snakemake.output.store, provenance=provenance)
write_history(snakemake)
