"""Draw how well each way of reading tokens names what they show."""

import pandas as pd

from mine.figures.alignments import draw_alignments
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging

start_logging(snakemake)
table = pd.read_csv(snakemake.input[0], sep="\t", keep_default_na=False, na_values=["nan"])
save_figure(draw_alignments(table), table, snakemake.output.png)
write_history(snakemake)
