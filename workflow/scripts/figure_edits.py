"""Draw features inserted and removed for a few voxels of one region."""

from mine.datasets.reader import open_dataset
from mine.figures.edits import choose_edits, draw_edits, list_edited, tabulate_edits
from mine.figures.strips import choose_tested
from mine.figures.style import save_figure
from mine.figures.voxels import describe_voxels, gather_pictures
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import load_store, open_store

start_logging(snakemake)
given, output, params = snakemake.input, snakemake.output, snakemake.params
# Of the many pixels only those that are drawn are read.
edits = load_store(given.edits, lazy="pixels")
counterfactuals = open_store(given.counterfactuals).load()
words = open_store(given.vocabulary)["word"].values
table = describe_voxels(open_store(given.profiles), open_store(given.scores), words)
voxels = choose_tested(table, edits["voxel"].values, params.figures["voxels"])
chosen = choose_edits(edits, voxels, images=params.figures["images"])
images = list_edited(edits, chosen)
stimuli = open_dataset(params.images).open_stimuli()
figure = draw_edits(
    edits,
    counterfactuals,
    gather_pictures(stimuli.read, images),
    chosen=chosen,
    template=params.prompt,
    method=params.method,
    table=table,
    region=f"{snakemake.wildcards.roi}, {snakemake.wildcards.subject}",
)
table = tabulate_edits(edits, counterfactuals, chosen=chosen)
save_figure(figure, table, output.png)
write_history(snakemake, images=images)
