"""Average the tokens of one shard of images over views of each image."""

from mine.core.backbone import open_backbone
from mine.datasets.reader import open_dataset
from mine.explainers.dense_relevance import draw_moves
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.randomness import generator
from mine.shards import shard_of
from mine.stages.dense import embed_dense
from mine.stores import check_backbone, open_store, write_store

log = start_logging(snakemake)
params = read_parameters(snakemake)
backbone = open_backbone(params.backbone)
check_backbone(snakemake.input.vocabulary, backbone)
moves = draw_moves(backbone.rows, backbone.columns, generator=generator(params.seed, "dense"))
log.info("%d views of each image", len(moves))
dense = embed_dense(
    backbone,
    shard_of(
        open_store(snakemake.input.stimuli)["image"].values,
        int(snakemake.wildcards.shard),
        size=params.backbone["shard_size"],
    ),
    open_dataset(params.images).open_stimuli().read,
    moves=moves,
    batch_size=params.backbone["batch_size"],
)
provenance = describe_provenance(
    seed=params.seed,
    models={"backbone": backbone.digest},
    libraries=[backbone.library],
)
write_store(dense, snakemake.output.store, provenance=provenance)
write_history(snakemake)
