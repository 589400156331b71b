"""Write what was found across subjects on one page, and its numbers as a table."""

from pathlib import Path

from mine.history import write_history
from mine.logging import start_logging
from mine.stores import read_table, write_table
from mine.summary.page import write_page
from mine.summary.subjects import average_regions, summarise_subjects

start_logging(snakemake)
output = snakemake.output
tables = {Path(path).stem: read_table(path) for path in snakemake.input}
write_table(average_regions(tables), output.table)
write_page(summarise_subjects(tables, name=snakemake.params.name), output.page)
write_history(snakemake)
