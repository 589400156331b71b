"""Draw which categories regions prefer across subjects."""

import pandas as pd

from mine.figures.preference_subjects import draw_preference_subjects, select_drawn
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging

start_logging(snakemake)
table = pd.read_csv(snakemake.input[0], sep="\t", keep_default_na=False, na_values=[""])
figure = draw_preference_subjects(table)
save_figure(figure, select_drawn(table), snakemake.output.png)
write_history(snakemake)
