"""Fetch what the analysis reads of a group of the dataset's files, and verify what is there."""

from pathlib import Path

from mine.datasets import download
from mine.datasets.nsd_required import Selection
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging

start_logging(snakemake)
params = read_parameters(snakemake)
settings = params.download
download.require_terms(settings["accept_terms"])
records = download.download_files(
    Path(params.root),
    Selection(**params.selection),
    endpoint=settings["endpoint"],
    connections=settings["connections"],
    megabytes_per_second=settings["megabytes_per_second"],
    groups=[snakemake.wildcards.group],
)
download.write_summary(records, snakemake.output[0])
write_history(snakemake)
