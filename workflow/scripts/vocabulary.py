"""Embed the vocabulary and measure the mean token over reference images."""

from pathlib import Path

from mine.core.backbone import open_backbone
from mine.core.choosing import draw_some
from mine.core.lens import read_lists, read_word_list, tokenizer_words, unite_words
from mine.core.neighbours import open_contexts
from mine.datasets.reader import open_dataset
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.randomness import generator
from mine.stages.embeddings import build_vocabulary
from mine.stores import open_store, write_store

log = start_logging(snakemake)
params = read_parameters(snakemake)
lens = params.lens
backbone = open_backbone(params.backbone)
if lens["vocabulary"] == "tokenizer":
    words = tokenizer_words(backbone.tokenizer)
else:
    words = read_word_list(Path(lens["vocabulary"]))
lists = read_lists(lens["lists"])
words = unite_words(words, lists)
stimuli = open_store(snakemake.input.stimuli)
training = stimuli["image"].values[~stimuli["held_out"].values]
drawing = generator(params.seed, "reference_images")
contexts = None
if lens["kind"] == "neighbours":
    contexts = open_contexts(lens, backbone, words, stimuli, seed=params.seed)
    log.info("%d contexts of %d words", len(contexts.vectors), len(contexts.words))
vocabulary = build_vocabulary(
    backbone,
    words=words,
    lists=lists,
    prompts=lens["prompts"],
    temperature=lens["temperature"],
    reference_images=draw_some(training, lens["reference_images"], drawing),
    read_images=open_dataset(params.images).open_stimuli().read,
    words_per_token=lens["words_per_token"],
    batch_size=params.backbone["batch_size"],
    generator=generator(params.seed, "shuffled_tokens"),
    contexts=contexts,
)
used = vocabulary.attrs["reference_images"]
log.info("%d of %d words, %d reference images", vocabulary.sizes["word"], len(words), used)
provenance = describe_provenance(
    seed=params.seed,
    models={"backbone": backbone.digest},
    libraries=[backbone.library],
)
write_store(vocabulary, snakemake.output.store, provenance=provenance)
write_history(snakemake)
