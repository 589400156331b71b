"""Draw how far what the lens says may be believed."""

import pandas as pd

from mine.figures.calibration import draw_calibration, gather_calibration
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging

start_logging(snakemake)
# A word may be empty, or spelled as a number that is missing.
numbers = dict.fromkeys(["from", "to", "confidence", "value", "low", "high"], "")
words, stability, temperature = (
    pd.read_csv(path, sep="\t", keep_default_na=False, na_values=numbers)
    for path in snakemake.input
)
table = gather_calibration(words, stability, temperature, level=snakemake.params.level)
save_figure(draw_calibration(table), table, snakemake.output.png)
write_history(snakemake)
