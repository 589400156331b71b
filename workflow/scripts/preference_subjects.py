"""Put the category preferences of all subjects side by side."""

from collections import defaultdict
from pathlib import Path

from mine.history import write_history
from mine.logging import start_logging
from mine.stages.preference_subjects import summarise_subjects, tabulate_preference
from mine.stores import open_store, write_table

start_logging(snakemake)
by_subject = defaultdict(dict)
for path in map(Path, snakemake.input.preference):
    by_subject[path.parts[-3]][path.parts[-2]] = open_store(path).load()
tables = {subject: tabulate_preference(by_roi) for subject, by_roi in by_subject.items()}
table = summarise_subjects(tables)
write_table(table, snakemake.output[0])
write_history(snakemake)
