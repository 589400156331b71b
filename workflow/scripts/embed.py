"""Embed one shard of images and read its tokens out in words."""

from mine.core.backbone import open_backbone
from mine.datasets.reader import open_dataset
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.shards import shard_of
from mine.stages.embeddings import embed_images
from mine.stores import check_backbone, open_store, write_store

start_logging(snakemake)
params = read_parameters(snakemake)
backbone = open_backbone(params.backbone)
check_backbone(snakemake.input.vocabulary, backbone)
images, lens = embed_images(
    backbone,
    shard_of(
        open_store(snakemake.input.stimuli)["image"].values,
        int(snakemake.wildcards.shard),
        size=params.backbone["shard_size"],
    ),
    open_dataset(params.images).open_stimuli().read,
    vocabulary=open_store(snakemake.input.vocabulary),
    words_per_token=params.words_per_token,
    batch_size=params.backbone["batch_size"],
)
provenance = describe_provenance(
    models={"backbone": backbone.digest},
    libraries=[backbone.library],
)
write_store(images, snakemake.output.images, provenance=provenance)
write_store(lens, snakemake.output.lens, provenance=provenance)
write_history(snakemake)
