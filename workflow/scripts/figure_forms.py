"""Draw the forms of encoders beside each other."""

import pandas as pd

from mine.figures.forms import draw_forms
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging

start_logging(snakemake)
table = pd.read_csv(snakemake.input[0], sep="\t", keep_default_na=False, na_values=[""])
save_figure(draw_forms(table), table, snakemake.output.png)
write_history(snakemake)
