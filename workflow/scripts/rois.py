"""Find which of a subject's voxels belong to which region."""

from pathlib import Path

from mine.datasets.reader import open_dataset
from mine.datasets.rois import require_region
from mine.datasets.voxels import voxels_of
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance, dump_json
from mine.stores import content_digest, open_store, write_store

start_logging(snakemake)
params = snakemake.params
rois = open_dataset(params.dataset).read_rois(
    snakemake.wildcards.subject,
    rois=params.rois,
    voxels=voxels_of(open_store(snakemake.input.responses)),
)
# Which voxels are left for want of signal no check of files can foresee.
require_region(rois)
write_store(rois, snakemake.output.store, provenance=describe_provenance())
# An absent region has no voxels, and so the digest of nothing.
for roi, path in zip(params.rois, snakemake.output.members, strict=True):
    region = rois.sel(roi=rois["roi"].isin([roi]))
    region = region.isel(voxel=region["member"].any("roi").values.nonzero()[0]).drop_attrs()
    Path(path).write_text(dump_json({"content_digest": content_digest(region)}))
write_history(snakemake)
