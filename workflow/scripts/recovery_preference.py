"""Score which categories one subject's regions prefer against what was planted in them."""

from mine.demo.recovery import match_voxels
from mine.demo.recovery_preference import score_preference
from mine.history import write_history
from mine.logging import start_logging
from mine.randomness import generator
from mine.stores import open_store, write_table

start_logging(snakemake)
given, params, subject = snakemake.input, snakemake.params, snakemake.wildcards.subject
regions = score_preference(
    {roi: open_store(path).load() for roi, path in zip(params.rois, given.preference, strict=True)},
    match_voxels(open_store(given.truth).load(), open_store(given.responses)),
    open_store(given.truth_images),
    resamples=params.resamples,
    generator=generator(params.seed, "recovery_preference", subject),
)
regions.insert(0, "subject", subject)
write_table(regions, snakemake.output[0])
write_history(snakemake)
