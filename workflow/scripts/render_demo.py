"""Render the miniature dataset and write the planted truth beside it."""

from pathlib import Path

from mine.demo import miniature
from mine.demo.planting import Difficulty
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance, digest_files, dump_json
from mine.stores import write_store

log = start_logging(snakemake)
# The folder is no output of the rule; its manifest lies beside it and is called after it.
root = Path(snakemake.output.manifest.removesuffix(".json"))
miniature.make_room(root)
demo, names, seed = snakemake.params.demo, snakemake.params.subjects, snakemake.params.seed
sizes = {"shared": demo["images_shared"], "unique": demo["images_unique"]}
stimuli = miniature.render_stimuli(**sizes, subjects_count=len(names), side=demo["side"], seed=seed)
design = miniature.draw_design(
    **sizes, subjects_count=len(names), sessions=demo["sessions"], seed=seed
)
planted = Difficulty(demo["voxels"], demo["noise_ceiling"], tuple(demo["second_features"]))
options = {"seed": seed, "difficulty": planted}
miniature.write_miniature(root, stimuli, design, names=names, **options)
log.info("wrote %d images and %d trials a subject", len(stimuli.scenes), len(design.order))
provenance = describe_provenance(seed=seed)
write_store(
    miniature.describe_images(stimuli), snakemake.output.truth_images, provenance=provenance
)
for row, name in enumerate(names):
    truth = miniature.describe_truth(stimuli, design, row, name, **options)
    write_store(truth, snakemake.output[f"truth_{name}"], provenance=provenance)
Path(snakemake.output.manifest).write_text(dump_json({"content": digest_files(root)} | provenance))
write_history(snakemake)
