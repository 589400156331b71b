"""Draw which categories regions prefer across subjects."""

from mine.figures.preference_subjects import draw_preference_subjects, select_drawn
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import read_table

start_logging(snakemake)
table = read_table(snakemake.input[0])
figure = draw_preference_subjects(table)
save_figure(figure, select_drawn(table), snakemake.output.png)
write_history(snakemake)
