"""Draw how many voxels of each region are described, and why the others are not."""

from pathlib import Path

from mine.figures.described import draw_described, tabulate_described
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import open_store

start_logging(snakemake)
reasons = {
    Path(path).parent.name: open_store(path)["reason"].values for path in snakemake.input.profiles
}
save_figure(draw_described(reasons), tabulate_described(reasons), snakemake.output.png)
write_history(snakemake)
