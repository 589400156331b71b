"""Draw what explainers found of what was planted."""

import pandas as pd

from mine.figures.explainers import draw_explainers
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging

start_logging(snakemake)
table = pd.read_csv(snakemake.input[0], sep="\t")
save_figure(draw_explainers(table), table, snakemake.output.png)
write_history(snakemake)
