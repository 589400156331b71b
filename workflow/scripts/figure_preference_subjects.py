"""Draw which categories regions prefer across subjects."""

import pandas as pd

from mine.figures.preference_subjects import draw_preference_subjects, select_drawn
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import write_table

start_logging(snakemake)
output = snakemake.output
table = pd.read_csv(snakemake.input[0], sep="\t", keep_default_na=False, na_values=[""])
write_table(select_drawn(table), output.table)
save_figure(draw_preference_subjects(table), png=output.png, pdf=output.pdf)
write_history(snakemake)
