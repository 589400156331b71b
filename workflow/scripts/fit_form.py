"""Fit one form of encoder to a subject, on the terms of all forms."""

import numpy as np

from mine.core.devices import choose_device
from mine.encoders.interface import Stimuli
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.shards import list_shards, open_images
from mine.stages.comparison import assign_regions, fit_form
from mine.stores import open_store, write_store, write_table

log = start_logging(snakemake)
given, params, wildcards = snakemake.input, read_parameters(snakemake), snakemake.wildcards
responses = open_store(given.responses).load()
images, training = responses["image"].values, responses["split"].values != "test"
embedded = open_images(list_shards(given.images), images)
stimuli = Stimuli(
    tokens=embedded["tokens"].values,
    pooled=embedded["pooled"].values,
    low_level=open_images(list_shards(given.low_level), images)["feature_value"].values,
    captions=open_store(given.captions)["caption"].sel(image=images).values,
    rows=embedded.attrs["rows"],
    columns=embedded.attrs["columns"],
)
fitted, cost = fit_form(
    stimuli,
    responses["response"].values,
    form=wildcards.form,
    size=wildcards.size,
    training=training,
    regions=assign_regions(
        open_store(given.rois)["member"].values, responses["hemisphere"].values.astype(str)
    ),
    encoder=params.encoder,
    baselines=params.baselines,
    learning_rates=params.learning_rates,
    weight_decays=params.weight_decays,
    members=params.members,
    seed=params.seed,
    device=choose_device(params.encoder["device"], key="encoder.device"),
)
log.info("%s parameters, chosen: %s", fitted.attrs["parameters"], fitted.attrs["choices"])
provenance = describe_provenance(seed=params.seed, libraries=["torch", "himalaya", "scikit-learn"])
write_store(
    fitted.assign_coords(image=np.asarray(images[~training])),
    snakemake.output.store,
    provenance=provenance,
)
write_table(cost.assign(subject=wildcards.subject), snakemake.output.cost)
write_history(snakemake)
