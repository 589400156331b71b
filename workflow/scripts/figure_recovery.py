"""Draw how much of what was planted was found."""

from mine.figures.recovery import draw_recovery, select_drawn
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import read_table

start_logging(snakemake)
table = read_table(snakemake.input[0])
save_figure(draw_recovery(table), select_drawn(table), snakemake.output.png)
write_history(snakemake)
