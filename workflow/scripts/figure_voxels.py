"""Draw a few voxels of one region: attributions in their images, and cards of their profiles."""

from mine.datasets.reader import open_dataset
from mine.figures.attributions import draw_attributions, tabulate_attributions
from mine.figures.profiles import draw_profiles, tabulate_profiles
from mine.figures.style import save_figure
from mine.figures.voxels import (
    choose_cards,
    choose_described,
    describe_voxels,
    gather_pictures,
    rank_images,
)
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import open_store

start_logging(snakemake)
given, output, count = snakemake.input, snakemake.output, snakemake.params.figures["voxels"]
profiles = open_store(given.profiles).load()
words = open_store(given.vocabulary)["word"].values
grid = profiles.sizes["row"], profiles.sizes["column"]
table = describe_voxels(profiles, open_store(given.scores), words)
region = f"{snakemake.wildcards.roi}, {snakemake.wildcards.subject}"
read = open_dataset(snakemake.params.images).open_stimuli().read

shown = choose_described(table, count)
descriptions = open_store(given.descriptions).sel(voxel=shown).load()
attributions = open_store(given.attributions)
attributions = attributions.sel(voxel=shown, image=descriptions["image"].values).load()
drawn = {"words": words, "grid": grid, "images": snakemake.params.figures["images"]}
images = rank_images(attributions["prediction"], drawn["images"])
pictures = gather_pictures(read, images)
figure = draw_attributions(
    attributions, descriptions, pictures, table=table, region=region, **drawn
)
save_figure(
    figure,
    tabulate_attributions(attributions, descriptions, **drawn),
    output.attributions,
)

cards = profiles.sel(voxel=choose_cards(table, count))
exemplars = cards["exemplar"].values
pictures = gather_pictures(read, exemplars)
figure = draw_profiles(cards, pictures, words=words, table=table, region=region)
save_figure(
    figure,
    tabulate_profiles(cards, words=words, table=table),
    output.profiles,
)
write_history(snakemake, images=[*images.ravel(), *exemplars.ravel()])
