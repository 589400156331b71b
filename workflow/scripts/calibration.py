"""Measure how often the words that the lens says are right, and how often it should say none."""

from pathlib import Path

import pandas as pd

from mine.core.backbone import open_backbone, sample_tokens
from mine.core.calibration import EACH, read_shuffled
from mine.core.choosing import draw_some
from mine.core.keeping import count_kept
from mine.core.lens import read_lens
from mine.datasets.coco import read_masks
from mine.datasets.reader import open_dataset
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.randomness import generator
from mine.shards import list_shards, open_images
from mine.stages.alignments import POINTS, choose_images, list_placed, share_tokens
from mine.stages.calibration import (
    IMAGES,
    choose_captioned,
    compose_silent,
    judge_places,
    judge_silence,
    judge_silent_descriptions,
    judge_words,
)
from mine.stages.descriptions import describe_images
from mine.stores import check_backbone, open_store, write_table

log = start_logging(snakemake)
given, params = snakemake.input, read_parameters(snakemake)
backbone = open_backbone(params.backbone)
check_backbone(given.vocabulary, backbone)
stimuli, base_rates = open_store(given.stimuli), open_store(given.base_rates).load()
random = generator(params.seed, "calibration")
count = params.lens["reference_images"]
level = params.description["false_words"]
options = {"level": level, "resamples": params.resamples, "generator": random}

# The null is of images that are not held out, so these have had no part in it.
fresh = stimuli["image"].values[stimuli["held_out"].values]
_, tokens = sample_tokens(
    backbone,
    draw_some(fresh, count, random),
    open_dataset(params.images).open_stimuli().read,
    each=EACH,
    batch_size=params.backbone["batch_size"],
    generator=random,
)
word, score = read_shuffled(
    tokens,
    read_lens(open_store(given.vocabulary).load()),
    words_per_token=params.lens["words_per_token"],
    device=backbone.device,
    generator=random,
)
tables = [judge_silence(word, score, base_rates, level=level)]
tokens = count_kept(backbone.rows * backbone.columns, params.description["token_fraction"])
# Few reference images may give fewer tokens than a description has.
if len(word) >= tokens:
    silent = describe_images(
        *compose_silent(word, score, tokens=tokens),
        base_rates,
        token_fraction=1,
        words=params.description["words"],
        phrase_words=params.description["phrase_words"],
        false_words=level,
        generator=generator(params.seed, "descriptions"),
    )
    tables.append(judge_silent_descriptions(silent))

images, captions = choose_captioned(stimuli, count=IMAGES, generator=random)
if len(images):
    lens = open_images(list_shards(given.lens), images)
    tables.append(judge_words(lens, base_rates, captions, **options))
if len(list_placed(stimuli)):
    chosen = choose_images(stimuli, count=count, generator=random)
    categories, objects = read_masks(
        map(Path, params.instances),
        coco_ids=chosen["coco_id"].values,
        crops=chosen["crop"].values,
        rows=POINTS * backbone.rows,
        columns=POINTS * backbone.columns,
    )
    shares = share_tokens(objects, categories, rows=backbone.rows, columns=backbone.columns)
    lens = open_images(list_shards(given.lens), chosen["image"].values)
    tables.append(judge_places(lens, base_rates, shares, categories, **options))
table = pd.concat(tables, ignore_index=True)
log.info("%s", table[table["word"] == ""].to_string(index=False))
write_table(table, snakemake.output[0])
write_history(snakemake, models={"backbone": backbone.digest})
