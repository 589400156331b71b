"""Fetch what the analysis reads of a group of the dataset's files, and verify what is there."""

from pathlib import Path

from mine.config import load_config
from mine.datasets import download
from mine.datasets.nsd_required import Selection
from mine.history import write_history
from mine.logging import start_logging

start_logging(snakemake)
params = snakemake.params
# Read here and not given as parameters: another limit makes nothing stale.
settings = load_config(snakemake.config).download
download.require_terms(settings.accept_terms)
records = download.download_files(
    Path(params.root),
    Selection(**params.selection),
    endpoint=params.endpoint,
    connections=settings.connections,
    megabytes_per_second=settings.megabytes_per_second,
    groups=[snakemake.wildcards.group],
)
download.write_summary(records, snakemake.output[0])
write_history(snakemake)
