"""Draw how much of what was planted was found."""

import pandas as pd

from mine.figures.recovery import draw_recovery, select_drawn
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging

start_logging(snakemake)
table = pd.read_csv(snakemake.input[0], sep="\t")
save_figure(draw_recovery(table), select_drawn(table), snakemake.output.png)
write_history(snakemake)
