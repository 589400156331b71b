"""Embed the categories in the text space of the vocabulary."""

from mine.core.backbone import open_backbone
from mine.core.neighbours import read_contexts
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.stages.embeddings import embed_categories
from mine.stores import check_backbone, open_store, write_store

start_logging(snakemake)
params = read_parameters(snakemake)
backbone = open_backbone(params.backbone)
check_backbone(snakemake.input.vocabulary, backbone)
vocabulary = open_store(snakemake.input.vocabulary)
categories = embed_categories(
    backbone,
    params.categories,
    prompts=params.prompts,
    text_mean=vocabulary["text_mean"].values,
    contexts=read_contexts(vocabulary),
)
provenance = describe_provenance(
    models={"backbone": backbone.digest},
    libraries=[backbone.library],
)
write_store(categories, snakemake.output.store, provenance=provenance)
write_history(snakemake)
