"""Draw the forms of encoders beside each other."""

from mine.figures.forms import draw_forms
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import read_table

start_logging(snakemake)
table = read_table(snakemake.input[0])
save_figure(draw_forms(table), table, snakemake.output.png)
write_history(snakemake)
