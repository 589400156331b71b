"""Draw the encoder's scores against noise ceiling and baselines."""

from mine.figures.encoder import draw_encoder, tabulate_encoder
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import open_store

start_logging(snakemake)
scores = open_store(snakemake.input.scores).load()
rois = open_store(snakemake.input.rois).load()
table = tabulate_encoder(scores, rois)
save_figure(draw_encoder(scores, rois), table, snakemake.output.png)
write_history(snakemake)
