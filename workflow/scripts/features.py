"""Gather what the first half of the data says of the voxels whose features are to be tested."""

from mine.core.choosing import choose_voxels, find_judged
from mine.core.encoder import position_basis, select_voxels, weights_from_dataset
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.randomness import generator
from mine.shards import list_shards, open_images
from mine.stages.attributions import attribute
from mine.stages.descriptions import describe_images
from mine.stages.features import gather_features
from mine.stores import open_store, write_store

log = start_logging(snakemake)
given, params, names = snakemake.input, read_parameters(snakemake), tuple(snakemake.wildcards)
features = params.features
level = params.profile["false_discovery_rate"]
faithful, profiles = open_store(given.faithfulness)["error_auc"], open_store(given.profiles)
is_judged = find_judged(
    open_store(given.evaluator)["p"].values, profiles["voxel"].values, level=level
)
chosen = choose_voxels(
    profiles["described"].values & is_judged,
    -faithful.sel(ranking="integrated_gradients", mode="keep").values,
    quantile=features["faithfulness_quantile"],
    most=features["voxels"],
    generator=generator(params.seed, "choose_voxels", *names),
)
attributions = open_store(given.attributions).isel(voxel=chosen).load()
voxels, images = attributions["voxel"].values, attributions["image"].values
responses, base_rates = open_store(given.responses), open_store(given.base_rates).load()
seen, is_test = responses["image"].values, responses["split"].values == "test"
embedded = open_images(list_shards(given.images), seen[is_test])
shown = attribute(
    select_voxels(weights_from_dataset(open_store(given.encoder)), voxels),
    embedded["tokens"].values,
    attributions["baseline"].values,
    position_basis(embedded.attrs["rows"], embedded.attrs["columns"], params.position_orders),
    keep_lowest=True,
    **params.attribution,
).assign_coords(voxel=voxels, image=seen[is_test])
lens = open_images(list_shards(given.lens), seen[is_test])
random = generator(params.seed, "describe_half", *names)
descriptions = [
    describe_images(shown, lens, base_rates, generator=random, **params.description)
    for _ in range(params.draws)
]
result = gather_features(
    attributions,
    open_images(list_shards(given.lens), images),
    descriptions,
    shown,
    group=base_rates["group"].values,
    measured=responses["response"].sel(image=images).isel(voxel=voxels).values,
    level=level,
    reading_reliability=params.profile["reading_reliability"],
    words=params.profile["words"],
    text=open_store(given.vocabulary)["text"].values,
    distinct_cosine=features["distinct_cosine"],
)
log.info("%d voxels to be tested, %d with words of the half", len(chosen), result.sizes["voxel"])
write_store(result, snakemake.output.store, provenance=describe_provenance(seed=params.seed))
write_history(snakemake)
