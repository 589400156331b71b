"""Write what was found in one subject on one page, and its numbers as a table."""

from pathlib import Path

from mine.history import write_history
from mine.logging import start_logging
from mine.stores import open_store, write_table
from mine.summary.page import write_page
from mine.summary.regions import find_tested, tabulate_regions
from mine.summary.subject import summarise_subject

OF_REGIONS = ("profiles", "preference", "structure", "sufficiency", "counterfactuals")

start_logging(snakemake)
given, output, params = snakemake.input, snakemake.output, snakemake.params
by_roi = {
    Path(path).parent.name: {name: open_store(given[name][place]) for name in OF_REGIONS}
    for place, path in enumerate(given.profiles)
}
words = open_store(given.vocabulary)["word"].values
group = open_store(given.base_rates)["group"].values
table = tabulate_regions(by_roi, open_store(given.scores), words, group)
page = summarise_subject(
    table,
    responses=open_store(given.responses),
    rois=open_store(given.rois),
    evaluator_r2=open_store(given.evaluator)["r2"].values[find_tested(by_roi)],
    name=params.name,
    level=params.level,
    least_voxels=params.least_voxels,
)
write_table(table, output.table)
write_page(page, output.page)
write_history(snakemake)
