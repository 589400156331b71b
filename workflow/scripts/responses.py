"""Read a subject's single trials and average them into one response for each image."""

from mine.datasets.reader import open_dataset
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.stages.responses import build_responses
from mine.stores import write_store

log = start_logging(snakemake)
dataset = snakemake.params.dataset
recording = open_dataset(dataset).read_subject(snakemake.wildcards.subject)
responses = build_responses(
    recording,
    test=dataset["test_images"],
    standardise_on=dataset["zscore"],
    least_ncsnr=dataset["least_ncsnr"],
    least_noise_ceiling=dataset["least_noise_ceiling"],
)
log.info("%d images, %d voxels", responses.sizes["image"], responses.sizes["voxel"])
write_store(responses, snakemake.output.store, provenance=describe_provenance())
write_history(snakemake, sources=recording.files)
