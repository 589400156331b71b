"""Draw features inserted and removed for a few voxels of one region."""

from pathlib import Path

from mine.datasets import nsd
from mine.figures.edits import choose_edits, draw_edits, list_edited, tabulate_edits
from mine.figures.strips import choose_tested
from mine.figures.style import save_figure
from mine.figures.voxels import describe_voxels, gather_pictures
from mine.logging import start_logging
from mine.stores import open_store

start_logging(snakemake)
given, output, params = snakemake.input, snakemake.output, snakemake.params
stored, counterfactuals = open_store(given.edits), open_store(given.counterfactuals).load()
# Of the many edited images only those that are drawn are read.
edits = stored.drop_vars("pixels").load().assign(pixels=stored["pixels"])
words = open_store(given.vocabulary)["word"].values
table = describe_voxels(open_store(given.profiles), open_store(given.scores), words)
voxels = choose_tested(table, edits["voxel"].values, params.figures["voxels"])
chosen = choose_edits(edits, voxels, images=params.figures["images"])
stimuli = nsd.open_stimuli(Path(params.dataset["root"]))
figure = draw_edits(
    edits,
    counterfactuals,
    gather_pictures(stimuli.read, list_edited(edits, chosen)),
    chosen=chosen,
    template=params.prompt,
    method=params.method,
    table=table,
    region=f"{snakemake.wildcards.roi}, {snakemake.wildcards.subject}",
)
save_figure(figure, png=output.png, pdf=output.pdf)
tabulate_edits(edits, counterfactuals, chosen=chosen).to_csv(
    output.table, sep="\t", index=False, float_format="%.6g"
)
