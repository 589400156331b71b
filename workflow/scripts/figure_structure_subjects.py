"""Draw which clusters of regions subjects share."""

import pandas as pd

from mine.figures.structure_subjects import draw_structure_subjects
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import write_table

start_logging(snakemake)
output = snakemake.output
table = pd.read_csv(snakemake.input[0], sep="\t", keep_default_na=False, na_values=[""])
write_table(table, output.table)
save_figure(draw_structure_subjects(table), png=output.png, pdf=output.pdf)
write_history(snakemake)
