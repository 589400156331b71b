"""Draw which categories the regions of one subject prefer."""

from pathlib import Path

from mine.figures.preference import draw_preference
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging
from mine.stages.preference_subjects import tabulate_preference
from mine.stores import open_store

start_logging(snakemake)
by_roi = {Path(path).parent.name: open_store(path).load() for path in snakemake.input.preference}
table = tabulate_preference(by_roi)
figure = draw_preference(table, list(by_roi), snakemake.wildcards.subject)
save_figure(figure, table, snakemake.output.png)
write_history(snakemake)
