"""Draw the structure of one region: identification, clusters, their words and exemplars."""

from mine.core.synonyms import name_as_listed
from mine.datasets.reader import open_dataset
from mine.figures.structure import draw_structure, tabulate_structure
from mine.figures.style import save_figure
from mine.figures.voxels import gather_pictures
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import open_store

start_logging(snakemake)
given, output, params = snakemake.input, snakemake.output, snakemake.params
structure = open_store(given.structure).load()
profiles = open_store(given.profiles)
name = name_as_listed([profiles], open_store(given.base_rates)["group"].values)
words = open_store(given.vocabulary)["word"].values[name]
exemplars = structure["exemplar"].values
stimuli = open_dataset(params.images).open_stimuli()
figure = draw_structure(
    structure,
    gather_pictures(stimuli.read, exemplars),
    words=words,
    voxels=profiles.sizes["voxel"],
    least_voxels=params.least_voxels,
    region=f"{snakemake.wildcards.roi}, {snakemake.wildcards.subject}",
)
save_figure(figure, tabulate_structure(structure, words=words), output.png)
write_history(snakemake, images=exemplars.ravel())
