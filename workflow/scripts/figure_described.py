"""Draw how many voxels of each region are described, and why the others are not."""

from pathlib import Path

from mine.figures.described import draw_described, tabulate_described
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import open_store, write_table

start_logging(snakemake)
reasons = {
    Path(path).parent.name: open_store(path)["reason"].values for path in snakemake.input.profiles
}
write_table(tabulate_described(reasons), snakemake.output.table)
save_figure(draw_described(reasons), png=snakemake.output.png, pdf=snakemake.output.pdf)
write_history(snakemake)
