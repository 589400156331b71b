"""Compare probabilities of first words with captions, and fit the lens's temperature to them."""

from mine.core.backbone import open_backbone, sample_tokens
from mine.core.calibration import EACH
from mine.core.lens import read_lens
from mine.datasets.reader import open_dataset
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.randomness import generator
from mine.stages.calibration import choose_captioned
from mine.stages.temperature import judge_temperature
from mine.stores import check_backbone, open_store, write_table

log = start_logging(snakemake)
given, params = snakemake.input, read_parameters(snakemake)
random = generator(params.seed, "temperature")
images, captions = choose_captioned(
    open_store(given.stimuli),
    count=params.reference_images,
    least=2,
    held_out=True,
    generator=random,
)
backbone = open_backbone(params.backbone)
check_backbone(given.vocabulary, backbone)
_, tokens = sample_tokens(
    backbone,
    images,
    open_dataset(params.images).open_stimuli().read,
    each=EACH,
    batch_size=params.backbone["batch_size"],
    generator=random,
)
vocabulary = open_store(given.vocabulary).load()
table = judge_temperature(
    tokens,
    captions,
    read_lens(vocabulary),
    vocabulary["word"].values,
    open_store(given.base_rates)["group"].values,
    device=backbone.device,
    resamples=params.resamples,
    generator=random,
)
log.info("%s", table.to_string(index=False))
write_table(table, snakemake.output[0])
write_history(snakemake, models={"backbone": backbone.digest})
