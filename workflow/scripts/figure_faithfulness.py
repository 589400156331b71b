"""Draw what is left of the prediction when tokens are kept or removed."""

from pathlib import Path

from mine.figures.faithfulness import draw_faithfulness, tabulate_faithfulness
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import open_store

start_logging(snakemake)
by_roi = {Path(path).parent.name: open_store(path).load() for path in snakemake.input.faithfulness}
table = tabulate_faithfulness(by_roi)
save_figure(draw_faithfulness(by_roi), table, snakemake.output.png)
write_history(snakemake)
