"""Measure the low-level features of one shard of images."""

import xarray as xr

from mine.core.low_level import compress_contrast, low_level_features
from mine.datasets.reader import open_dataset
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.shards import shard_of
from mine.stores import open_store, write_store

start_logging(snakemake)
params = snakemake.params
images = shard_of(
    open_store(snakemake.input.stimuli)["image"].values,
    int(snakemake.wildcards.shard),
    size=params.shard_size,
)
values, names = low_level_features(open_dataset(params.images).open_stimuli().read(images))
what = {"long_name": "log of contrast or Gabor amplitude, in luminance from 0 to 1, over a floor"}
dataset = xr.Dataset(
    {"feature_value": (("image", "feature"), compress_contrast(values), what)},
    coords={"image": images, "feature": names},
)
write_store(dataset, snakemake.output.store, provenance=describe_provenance())
write_history(snakemake)
