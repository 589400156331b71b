"""Draw pictures generated for a few voxels of one region beside their originals."""

from mine.datasets.reader import open_dataset
from mine.figures.generated import (
    choose_originals,
    draw_generated,
    list_originals,
    tabulate_generated,
)
from mine.figures.strips import choose_tested
from mine.figures.style import save_figure
from mine.figures.voxels import describe_voxels, gather_pictures
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import load_store, open_store

start_logging(snakemake)
given, output, params = snakemake.input, snakemake.output, snakemake.params
# Of the many pixels only those that are drawn are read.
generated = load_store(given.generated, lazy="pixels")
sufficiency = open_store(given.sufficiency).load()
words = open_store(given.vocabulary)["word"].values
table = describe_voxels(open_store(given.profiles), open_store(given.scores), words)
voxels = choose_tested(table, generated["voxel"].values, params.figures["voxels"])
originals = choose_originals(generated, voxels, images=params.figures["images"])
images = list_originals(generated, originals)
stimuli = open_dataset(params.images).open_stimuli()
figure = draw_generated(
    generated,
    sufficiency,
    gather_pictures(stimuli.read, images),
    originals=originals,
    template=params.prompt,
    table=table,
    region=f"{snakemake.wildcards.roi}, {snakemake.wildcards.subject}",
)
table = tabulate_generated(generated, sufficiency, originals=originals)
save_figure(figure, table, output.png)
write_history(snakemake, images=images)
