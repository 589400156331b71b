"""Draw how much of what was planted was found."""

import pandas as pd

from mine.figures.recovery import draw_recovery
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging

start_logging(snakemake)
table = pd.read_csv(snakemake.input[0], sep="\t")
save_figure(draw_recovery(table), png=snakemake.output.png, pdf=snakemake.output.pdf)
write_history(snakemake)
