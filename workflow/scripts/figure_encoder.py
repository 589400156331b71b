"""Draw the encoder's scores against noise ceiling and baselines."""

from mine.figures.encoder import draw_encoder, tabulate_encoder
from mine.figures.style import save_figure
from mine.logging import start_logging
from mine.stores import open_store

start_logging(snakemake)
scores = open_store(snakemake.input.scores).load()
rois = open_store(snakemake.input.rois).load()
tabulate_encoder(scores, rois).to_csv(
    snakemake.output.table, sep="\t", index=False, float_format="%.6g"
)
save_figure(draw_encoder(scores, rois), png=snakemake.output.png, pdf=snakemake.output.pdf)
