"""Read tokens again by other prompts, words and temperatures, and measure what is said again."""

from mine.core.backbone import open_backbone, sample_tokens
from mine.core.calibration import EACH, SHUFFLED, shuffle_tokens
from mine.core.choosing import draw_some
from mine.core.lens import read_lens
from mine.datasets.reader import open_dataset
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.randomness import generator
from mine.stages.stability import measure_stability
from mine.stores import check_backbone, open_store, write_table

log = start_logging(snakemake)
given, params = snakemake.input, read_parameters(snakemake)
backbone = open_backbone(params.backbone)
check_backbone(given.vocabulary, backbone)
stimuli = open_store(given.stimuli)
random = generator(params.seed, "stability")
read_images = open_dataset(params.images).open_stimuli().read


def sample(held_out):
    """Draw images that are held out, or are not, and tokens of theirs."""
    able = stimuli["image"].values[stimuli["held_out"].values == held_out]
    images = draw_some(able, params.lens["reference_images"], random)
    options = {"batch_size": params.backbone["batch_size"], "generator": random}
    return sample_tokens(backbone, images, read_images, each=EACH, **options)[1]


table = measure_stability(
    sample(held_out=True),
    shuffle_tokens(sample(held_out=False), count=SHUFFLED, generator=random),
    read_lens(open_store(given.vocabulary).load()),
    open_store(given.base_rates).load(),
    backbone.embed_words,
    prompts=params.lens["prompts"],
    level=params.level,
    words_per_token=params.lens["words_per_token"],
    device=backbone.device,
    resamples=params.resamples,
    generator=random,
)
log.info("%s", table[table["word"] == ""].to_string(index=False))
write_table(table, snakemake.output[0])
write_history(snakemake, models={"backbone": backbone.digest})
