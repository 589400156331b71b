# MINE: from stimuli and responses to a profile in words of every voxel.
# `snakemake --cores all` runs the embedded demo; `--configfile configs/nsd.yaml` another analysis.

from snakemake.utils import min_version

min_version("9.27")

# A configuration given on the command line stands in for this one instead of being mixed with it.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/configuration.smk"
include: "workflow/rules/stimuli.smk"
include: "workflow/rules/responses.smk"
include: "workflow/rules/embeddings.smk"
include: "workflow/rules/alignments.smk"
include: "workflow/rules/calibration.smk"
include: "workflow/rules/encoder.smk"
include: "workflow/rules/encoders.smk"
include: "workflow/rules/explainers.smk"
include: "workflow/rules/evaluator.smk"
include: "workflow/rules/attributions.smk"
include: "workflow/rules/descriptions.smk"
include: "workflow/rules/profiles.smk"
include: "workflow/rules/regions.smk"
include: "workflow/rules/structure.smk"
include: "workflow/rules/causality.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/summary.smk"
include: "workflow/rules/browser.smk"


if settings.demo is not None:

    include: "workflow/rules/demo.smk"
    include: "workflow/rules/recovery.smk"


if settings.download.accept_terms:

    include: "workflow/rules/download.smk"


onstart:
    check_start()
    lift_rate_limit()


onsuccess:
    tell_outcome()


rule all:
    default_target: True
    input:
        "<results>/config.json",
        # A region that the configuration has gained is looked for because this file of it is missing:
        # to Snakemake, what was never made has no parameters that could have changed.
        expand(
            "<results>/{subject}/{roi}/members.json", subject=settings.subjects, roi=settings.rois
        ),
        regions(
            "{results}/{subject}/{roi}/descriptions.json",
            "{results}/{subject}/{roi}/profiles.json",
            "{results}/{subject}/{roi}/preference.json",
            "{results}/{subject}/{roi}/sufficiency.json",
            "{results}/{subject}/{roi}/counterfactuals.json",
            "{results}/{subject}/{roi}/structure.json",
        ),
        expand("<results>/{subject}/scores.json", subject=settings.subjects),
        expand(
            maps("<results>/{subject}/maps/{measure}", labels=False),
            subject=settings.subjects,
            measure=MEASURES,
        ),
        expand(maps("<results>/{subject}/maps/reason", labels=True), subject=settings.subjects),
        (
            expand("<results>/{subject}/synthetic.json", subject=settings.subjects)
            if settings.dataset.synthetic
            else []
        ),
        "<results>/preference.tsv",
        "<results>/clusters.tsv",
        [] if settings.demo is None else "<results>/recovery.tsv",
        *DRAWN,
        "<results>/summary/subjects.html",
        "<results>/browser/index.html",


# Figures alone, by their numbers in README.md: `snakemake figure_2`.
rule all_figures:
    input:
        *DRAWN,


for number, files in enumerate(DRAWN, 1):

    rule:
        name:
            f"figure_{number}"
        input:
            files,


# Forms of encoders beside each other, which no other result waits for.
rule compare_encoders:
    input:
        "<results>/encoders.tsv",
        "<results>/figures/encoders.png",


# What other subjects are worth to one with few images, likewise; it takes two subjects or more.
rule compare_subjects:
    input:
        "<results>/transfer.tsv",


# Ways to read tokens beside each other, likewise.
rule compare_alignments:
    input:
        "<results>/alignments.tsv",
        "<results>/figures/alignments.png",


# Whether the words that the lens says are right, would be said again, and how sure they are, likewise;
# a temperature is fitted to captions, which a folder may have in its table of images.
rule calibrate_lens:
    input:
        "<results>/words.tsv",
        "<results>/stability.tsv",
        (
            ["<results>/temperature.tsv", "<results>/figures/calibration.png"]
            if settings.dataset.captions or settings.dataset.kind == "folder"
            else []
        ),


# Sentences of the words of profiles, likewise.
rule phrase_profiles:
    input:
        regions("{results}/{subject}/{roi}/phrases.tsv"),


# Whether profiles agree between random starts, likewise.
rule compare_seeds:
    input:
        "<results>/seeds.tsv",


# The words of rival explainers beside MINE's, likewise; in the demo scored against what was planted.
rule compare_explainers:
    input:
        regions("{results}/{subject}/{roi}/explainers.json"),
        (
            []
            if settings.demo is None
            else ["<results>/explainers.tsv", "<results>/figures/explainers.png"]
        ),
