"""Draw the causal tests of one subject: sufficiency, insertion and removal."""

from pathlib import Path

from mine.figures.causality import draw_causality
from mine.figures.style import save_figure
from mine.history import write_history
from mine.logging import start_logging
from mine.randomness import generator
from mine.stages.causality import tabulate_causality
from mine.stores import open_store

start_logging(snakemake)
given, output, params = snakemake.input, snakemake.output, snakemake.params
by_roi = {
    Path(sufficiency).parent.name: (open_store(sufficiency).load(), open_store(edits).load())
    for sufficiency, edits in zip(given.sufficiency, given.counterfactuals, strict=True)
}
table = tabulate_causality(
    by_roi,
    resamples=params.resamples,
    generator=generator(params.seed, "figure_causality", snakemake.wildcards.subject),
)
save_figure(draw_causality(table, list(by_roi)), table, output.png)
write_history(snakemake)
