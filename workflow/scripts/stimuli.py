"""Index the images of the experiment: identity, captions, categories, who saw them."""

from pathlib import Path

from mine.datasets import nsd
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.stages.stimuli import build_stimuli
from mine.stores import write_store

log = start_logging(snakemake)
dataset = snakemake.params.dataset
root = Path(dataset["root"])
information = nsd.read_information(root)
coco_ids = information["cocoId"].tolist()
categories, instances = None, None
if dataset["instances"]:
    categories, instances = nsd.read_instances(map(Path, dataset["instances"]), coco_ids=coco_ids)
stimuli = build_stimuli(
    information,
    subjects=snakemake.params.subjects,
    source=str(root),
    captions=nsd.read_captions(map(Path, dataset["captions"]), coco_ids=coco_ids),
    categories=categories,
    instances=instances,
)
log.info("%d images", stimuli.sizes["image"])
write_store(
    stimuli, snakemake.output.store, provenance=describe_provenance(seed=snakemake.params.seed)
)
