"""List the shards of what is stored by images: one file for all jobs that read every shard."""

from pathlib import Path

from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import dump_json
from mine.stores import read_manifest

start_logging(snakemake)
shards = {Path(path).name: read_manifest(path)["content_digest"] for path in snakemake.input.shards}
Path(snakemake.output[0]).write_text(dump_json({"shards": shards}))
write_history(snakemake)
