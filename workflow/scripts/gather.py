"""List the shards of what is stored by images: one file for all jobs that read every shard."""

from pathlib import Path

from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import dump_json, store_path
from mine.stores import read_manifest

start_logging(snakemake)
stores = map(store_path, snakemake.input.shards)
shards = {store.name: read_manifest(store)["content_digest"] for store in stores}
Path(snakemake.output[0]).write_text(dump_json({"shards": shards}))
write_history(snakemake)
