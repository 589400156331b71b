"""Draw how far what the lens says may be believed."""

from mine.figures.calibration import draw_calibration, gather_calibration
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import read_table

start_logging(snakemake)
words, stability, temperature = map(read_table, snakemake.input)
table = gather_calibration(words, stability, temperature, level=snakemake.params.level)
save_figure(draw_calibration(table), table, snakemake.output.png)
write_history(snakemake)
