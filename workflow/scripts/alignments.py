"""Compare the ways to read the backbone's tokens by objects whose place is known."""

from pathlib import Path

from mine.core.backbone import open_backbone
from mine.core.neighbours import open_contexts
from mine.datasets.coco import read_masks
from mine.datasets.reader import open_dataset
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.randomness import generator
from mine.stages.alignments import POINTS, choose_images, compare_alignments
from mine.stores import check_backbone, open_store, write_table

log = start_logging(snakemake)
params = read_parameters(snakemake)
backbone = open_backbone(params.backbone)
check_backbone(snakemake.input.vocabulary, backbone)
told = open_store(snakemake.input.stimuli)
stimuli = choose_images(
    told,
    count=params.lens["reference_images"],
    generator=generator(params.seed, "reference_images"),
)
log.info("%d images", stimuli.sizes["image"])
categories, objects = read_masks(
    map(Path, params.instances),
    coco_ids=stimuli["coco_id"].values,
    crops=stimuli["crop"].values,
    rows=POINTS * backbone.rows,
    columns=POINTS * backbone.columns,
)
lens, contexts = params.lens, None
if lens["corpus"] is not None:
    contexts = open_contexts(lens, backbone, categories, told, seed=params.seed)
text_mean = open_store(snakemake.input.vocabulary)["text_mean"].values
table = compare_alignments(
    backbone,
    stimuli["image"].values,
    objects,
    open_dataset(params.images).open_stimuli().read,
    categories=categories,
    prompts=params.lens["prompts"],
    # Of a vocabulary of contexts it is the mean of these.
    text_mean=None if lens["kind"] == "neighbours" else text_mean,
    contexts=contexts,
    batch_size=params.backbone["batch_size"],
    resamples=params.resamples,
    generator=generator(params.seed, "alignments"),
)
write_table(table, snakemake.output[0])
write_history(snakemake, models={"backbone": backbone.digest})
