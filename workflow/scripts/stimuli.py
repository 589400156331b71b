"""Index the images of the experiment: identity, captions, categories, who saw them."""

from mine.datasets.reader import open_dataset
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.stages.stimuli import build_stimuli
from mine.stores import write_store

log = start_logging(snakemake)
params = snakemake.params
stimuli = build_stimuli(open_dataset(params.dataset).read_images(params.subjects))
log.info("%d images", stimuli.sizes["image"])
write_store(stimuli, snakemake.output.store, provenance=describe_provenance())
write_history(snakemake)
