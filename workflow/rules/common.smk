# The checked configuration, the names that wildcards may take, and the helpers by which a rule
# reads as a table. Nothing heavier than PyYAML is imported here.

import gc
import os
import shutil
from base64 import urlsafe_b64encode
from dataclasses import asdict
from functools import cache
from itertools import product
from pathlib import Path

from mine.config import REPLACED, InputError, describe_changes, load_config
from mine.core.hubs import OFFLINE, PIPELINES, list_hub_models
from mine.datasets import listing
from mine.figures.catalogue import FIGURES
from mine.handling import drop_handling
from mine.memory import Memory, digest_contents
from mine.provenance import digest_files, manifest_path
from mine.sections import ACROSS, FITS, MEASURES, MODEL_PATTERNS, MODEL_SCORES
from mine.sections import FORMS as EVERY_FORM
from mine.sources import code_digest, remember_sources
from mine.summary.region_table import read_region_names

# What was read of input files and of source files before, so that a look at them takes no time.
REMEMBERED = Path(".snakemake") / "mine"
DIGESTS, SOURCES = Memory(REMEMBERED / "digests.json"), remember_sources(REMEMBERED)

# Each job reads this in a process of its own, wherever it runs, and hands it on to its script.
os.environ.update(OFFLINE)

# Python looks for garbage after every 700 objects. A plan makes millions and drops none: one in
# twelve seconds of it were spent on looking.
gc.set_threshold(100_000)

try:
    settings = load_config(config, name="configuration")
except InputError as error:
    raise WorkflowError(str(error)) from None


pathvars:
    results=f"results/{settings.name}",
    logs="<results>/logs",
    benchmarks="<results>/benchmarks",


def alternatives(names):
    """Return a regular expression that matches one of the names and nothing else."""
    return "|".join(re.escape(name) for name in names)


wildcard_constraints:
    subject=alternatives(settings.subjects),
    roi=alternatives(settings.rois),
    fit=alternatives(FITS),
    form=alternatives(EVERY_FORM),
    size=r"all|\d+",
    control="|_random",
    backbone=alternatives([settings.backbone.name]),
    evaluator=alternatives([settings.evaluator.name]),
    shard=r"\d+",
    section="backbone|evaluator|generator",
    part=alternatives(
        [
            f"embeddings/{settings.backbone.name}/images",
            f"embeddings/{settings.backbone.name}/lens",
            f"embeddings/{settings.backbone.name}/dense",
            f"embeddings/{settings.evaluator.name}/images",
            "low_level",
        ]
    ),
    group=alternatives(["experiment", "regions", "stimuli", "synthetic", *settings.subjects]),


def check_start():
    """Refuse to start while anything that the configuration names is wrong."""
    # Imported late: only a run needs the readers of files, not each of its jobs.
    from mine.check import check_config

    asked = workflow.dag_settings
    part = asked.until or asked.omit_from or set(asked.targets) - {"all"}
    problems = check_config(settings, here=workflow.local_exec, whole=not part)
    if problems:
        raise WorkflowError("\n".join(problems))


def tell_changes():
    """Name the keys with whose other values results were made that are there.

    Snakemake makes anew what follows from them, since it keeps the parameters of every job in a file
    of `.snakemake` that is called after the output. Where it has none, it would take the results for
    those of this configuration.
    """
    changes = describe_changes(settings)
    if not changes:
        return
    place = f"results/{settings.name}/config.json"
    record = Path(".snakemake/metadata", urlsafe_b64encode(place.encode()).decode())
    if not record.is_file():
        raise WorkflowError(
            f"{changes}, and .snakemake has no records by which to tell what follows from these "
            "keys; take another `name`, or see docs/running.md, Moving results"
        )
    logger.warning(f"{changes}; {REPLACED}")


# Once for a run, and not in each of its jobs.
if workflow.is_main_process:
    tell_changes()

# Jobs in how many seconds Snakemake starts at most if nobody says otherwise.
SNAKEMAKES_LIMIT = (100, 1)


def lift_rate_limit():
    """Let cores, or the number of jobs in a queue, be the only limit to jobs that are started, unless
    another than Snakemake's own limit is asked for.

    For its limit of jobs per time Snakemake sets a clock whenever it has looked for jobs to start,
    and looks again when that rings. A clock goes on for each job that has ended: in the demo they
    took a tenth of the processor's time. No option says that there is no limit.
    """
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if limit is not None and (limit.max_jobs, limit.timespan) == SNAKEMAKES_LIMIT:
        workflow.scheduler.job_rate_limiter = None


def tell_outcome():
    """Say what was made, and where to look first."""
    # Imported late, as above.
    from mine.summary.outcome import describe_outcome

    said = describe_outcome(Path(f"results/{settings.name}"), settings.subjects)
    if said:
        logger.info(said)


# Scripts find every key here, those too that are no parameters of their rules.
config.update(asdict(settings))


def section(name, *keys):
    """Return a section of the configuration for a rule's params, or only the keys that are read:
    plain values, so that Snakemake sees when one has changed, and without those that only say how a
    job is run, which a script adds by `mine.handling`."""
    whole = drop_handling(name, config[name])
    return {key: whole[key] for key in keys} if keys else whole


def code(name):
    """Return the digest of the code behind the rule of that name, for the rule's params."""
    script = Path(workflow.basedir) / "workflow" / "scripts" / f"{name}.py"
    return code_digest(script, memory=SOURCES)


def writes(store=None, **stores):
    """Return a rule's outputs: the store and, written after it, its manifest; where there are
    several, each store and its manifest by name."""
    if store is not None:
        return {"store": directory(store), "manifest": str(manifest_path(store))}
    manifests = {f"{name}_manifest": str(manifest_path(path)) for name, path in stores.items()}
    return {name: directory(path) for name, path in stores.items()} | manifests


def reads(**stores):
    """Return a rule's inputs, name to store: the manifest of each, which changes with the content
    and by which a script opens the store. A store may be a path, a list of paths, or a function of
    the wildcards that gives either. A list of shards stands for all of them. A plan takes as long
    as there are inputs: with the stores beside their manifests, or with each shard, far longer."""
    return {name: manifests_of(store) for name, store in stores.items()}


def manifests_of(store):
    """Return what `store` is, with the manifest in the place of each store."""
    if callable(store):
        return lambda wildcards: manifests_of(store(wildcards))
    if isinstance(store, str):
        return store if store.endswith(".json") else str(manifest_path(store))
    return [manifests_of(path) for path in store]


# --- what the rules of an analysis share -----------------------------------------------------------

if settings.demo is None:
    FITTED = [fit for fit in FITS if not fit.endswith("_random")]
else:
    FITTED = list(FITS)


EMBEDDINGS = f"results/{settings.name}/embeddings/{{}}"
"""Folder of the tokens and words of a model, by the model's name."""


pathvars:
    embeddings=EMBEDDINGS.format(settings.backbone.name),
    evaluator=EMBEDDINGS.format(settings.evaluator.name),


def gpus(name):
    """Return how many GPUs a job of that section asks for, as a function, since where jobs run is
    known only once the rules are read. Where the device is left to the machine and that is another
    one, it is taken to have a GPU."""
    device = getattr(settings, name).device

    def count(wildcards):
        if device == "auto":
            return int(workflow.non_local_exec or shutil.which("nvidia-smi") is not None)
        return int(device.startswith("cuda"))

    return count


def digest(files):
    """Return the digest of files that are there, for a rule's params: what a touch does not change,
    whatever their size."""
    return digest_contents(files, memory=DIGESTS)


def dataset_section():
    """Return the section of the dataset without the regions that are no part of the voxel set: a
    further region changes nothing that is read before the regions are."""
    references = settings.dataset.roi_references.items()
    kept = {name: place for name, place in references if name in settings.dataset.voxels}
    return section("dataset") | {"roi_references": kept}


def dataset_digest(group, references=()):
    """Return the digest of what a job reads of the dataset, as a function of its wildcards. The
    demo's own is known by its manifest, and what is downloaded is taken not to change."""
    if settings.demo is not None:
        return ""

    def find(wildcards):
        return digest(
            listing.list_read(
                settings.dataset,
                group,
                subject=wildcards.get("subject", ""),
                references=references,
                downloaded=settings.download.accept_terms,
            )
        )

    return find


# What the pixels of an image depend on, for the rules that read nothing else of the dataset: keys
# of its section, and the digest of the files where these are one's own.
IMAGES, PIXELS = listing.describe_images(settings.dataset), ""
if settings.demo is None and settings.dataset.kind == "folder":
    PIXELS = digest(listing.list_read(settings.dataset, "images"))


def count_identities():
    """Return one more than the largest identity of an image in the dataset."""
    if settings.demo is not None:
        return settings.demo.images_shared + settings.demo.images_unique * len(settings.subjects)
    try:
        return listing.count_identities(settings.dataset)
    except InputError as error:
        raise WorkflowError(str(error)) from None


def count_shards():
    """Return how many shards the images make: runs of `shard_size` identities."""
    return -(-count_identities() // settings.backbone.shard_size)


def shards(pattern):
    """Return one path for each shard of images; a function that does where the images can be
    counted only once their table has been downloaded."""
    downloaded = Path(f"results/{settings.name}/download/experiment.tsv").is_file()
    if downloaded or not settings.download.accept_terms:
        return expand(pattern, shard=range(count_shards()), allow_missing=True)

    def find(wildcards):
        checkpoints.download.get(group="experiment")
        # What a function returns has to name its folders in full.
        path = pattern.replace("<embeddings>", EMBEDDINGS.format(settings.backbone.name))
        path = path.replace("<evaluator>", EMBEDDINGS.format(settings.evaluator.name))
        path = path.replace("<results>", f"results/{settings.name}")
        return expand(path, shard=range(count_shards()), **wildcards)

    return find


def fits(pattern):
    """Return one path for each fit of a subject's encoder that this analysis needs."""
    return expand(pattern, fit=FITTED, allow_missing=True)


def found_regions(subject):
    """Return the names of the regions that a subject has, which are known once they are listed."""
    return read_region_names(checkpoints.regions.get(subject=subject).output[0])


def regions(*patterns):
    """Return an input function: each pattern for every subject and every region that it has."""

    def find(wildcards):
        paths = []
        for subject in settings.subjects:
            rois = found_regions(subject)
            paths += expand(patterns, subject=subject, roi=rois, results=f"results/{settings.name}")
        return paths

    return find


def own_regions(pattern):
    """Return an input function: the pattern, or each of a list, for every region that the job's
    subject has."""

    def find(wildcards):
        return expand(
            pattern,
            roi=found_regions(wildcards.subject),
            subject=wildcards.subject,
            results=f"results/{settings.name}",
        )

    return find


def other_subjects(pattern):
    """Return an input function: the pattern for every subject but the job's own."""

    def find(wildcards):
        names = [name for name in settings.subjects if name != wildcards.subject]
        if not names:
            raise WorkflowError("subjects: expected two or more to fit one by the others, found 1")
        return expand(pattern, subject=names, results=f"results/{settings.name}")

    return find


def drawn(figure):
    """Return the files of a numbered figure, for every subject and region that it is of."""
    if "{roi}" in figure.files:
        return regions(f"{{results}}/figures/{figure.files}.png")
    return expand(f"<results>/figures/{figure.files}.png", subject=settings.subjects)


def of_rois(pattern):
    """Return the pattern for every region: in the demo each subject has all of them."""
    return expand(pattern, roi=settings.rois, allow_missing=True)


def dataset_files(*groups):
    """Return what has to be there of the dataset: the demo's manifest, whose change makes what
    follows stale, or the dataset's tables, or where it is downloaded those of the groups of files
    that are read. These are only waited for: what has changed in them a digest says, and files
    that were verified again, or a volume more, make nothing stale."""
    if settings.demo is not None:
        return f"{settings.dataset.root}.json"
    if settings.download.accept_terms:
        return [ancient(f"<results>/download/{group}.tsv") for group in ("experiment", *groups)]
    return ancient(listing.list_files(settings.dataset))


def unseen_files():
    """Return the same as dataset_files of the images of another kind."""
    if settings.download.accept_terms:
        return [ancient("<results>/download/synthetic.tsv")]
    return ancient(listing.list_unseen_files(settings.dataset))


def maps(stem, *, labels):
    """Return the files of a map over a subject's voxels, of labels or of measurements."""
    return listing.list_maps(settings.dataset, stem, labels=labels)


# The sections with models that are to be fetched from a hub.
FETCHED = [
    name for name in ("backbone", "evaluator", "generator") if list_hub_models(name, section(name))
]


@cache
def local_model_files(*names):
    """Return the files of the local models of sections, those of which their digest is; none of a
    hub's."""
    files = set()
    for name, key in product(names, PIPELINES):
        if model := section(name).get(key):
            folder = Path(model.removeprefix("local-dir:"))
            for pattern in ["*"] if name == "generator" else MODEL_PATTERNS:
                files.update(file for file in folder.rglob(pattern) if file.is_file())
    return sorted(str(file) for file in files if file.name not in MODEL_SCORES)


def model_files(name):
    """Return the files of a section's local models, and for a hub's what says that they have been
    fetched."""
    fetched = [f"<results>/models/{name}.tsv"] if name in FETCHED else []
    return [*local_model_files(name), *fetched]


def lens_texts():
    """Return the digest of the word lists and the corpus of the lens, as far as they are files."""
    named = settings.word_files() | settings.corpus_files()
    return digest([path for path in named.values() if Path(path).is_file()])


def model_digest(*names):
    """Return the digest of the files of the local models of sections, whose change makes stale what
    was computed with them."""
    return digest(local_model_files(*names))


def truth_outputs():
    """Return the stores of planted truth and their manifests, as outputs of the job that plants it."""
    outputs = {}
    for name in ["images", *settings.subjects]:
        store = f"{settings.demo.truth}/{name}.zarr"
        outputs[f"truth_{name}"] = directory(store)
        outputs[f"truth_{name}_manifest"] = str(manifest_path(store))
    return outputs
