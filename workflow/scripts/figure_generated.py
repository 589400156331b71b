"""Draw pictures generated for a few voxels of one region beside their originals."""

from pathlib import Path

from mine.datasets import nsd
from mine.figures.generated import (
    choose_originals,
    draw_generated,
    list_originals,
    tabulate_generated,
)
from mine.figures.strips import choose_tested
from mine.figures.style import save_figure
from mine.figures.voxels import describe_voxels, gather_pictures
from mine.logging import start_logging
from mine.stores import open_store

start_logging(snakemake)
given, output, params = snakemake.input, snakemake.output, snakemake.params
stored, sufficiency = open_store(given.generated), open_store(given.sufficiency).load()
# Of the many pictures only those that are drawn are read.
generated = stored.drop_vars("pixels").load().assign(pixels=stored["pixels"])
words = open_store(given.vocabulary)["word"].values
table = describe_voxels(open_store(given.profiles), open_store(given.scores), words)
voxels = choose_tested(table, generated["voxel"].values, params.figures["voxels"])
originals = choose_originals(generated, voxels, images=params.figures["images"])
stimuli = nsd.open_stimuli(Path(params.dataset["root"]))
figure = draw_generated(
    generated,
    sufficiency,
    gather_pictures(stimuli.read, list_originals(generated, originals)),
    originals=originals,
    template=params.prompt,
    table=table,
    region=f"{snakemake.wildcards.roi}, {snakemake.wildcards.subject}",
)
save_figure(figure, png=output.png, pdf=output.pdf)
tabulate_generated(generated, sufficiency, originals=originals).to_csv(
    output.table, sep="\t", index=False, float_format="%.6g"
)
