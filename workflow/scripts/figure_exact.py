"""Draw the edits of all subjects against the same edits rendered exactly."""

import pandas as pd

from mine.figures.exact import draw_exact, tabulate_exact
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging
from mine.randomness import generator
from mine.stores import read_table

start_logging(snakemake)
output, params = snakemake.output, snakemake.params
table = tabulate_exact(
    pd.concat(map(read_table, snakemake.input), ignore_index=True),
    resamples=params.resamples,
    generator=generator(params.seed, "figure_exact"),
)
save_figure(draw_exact(table), table, output.png)
write_history(snakemake)
