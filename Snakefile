# MINE: from stimuli and responses to a profile in words of every voxel.
# `snakemake --cores all` runs the embedded demo; `--configfile configs/nsd.yaml` another analysis.

from snakemake.utils import min_version

min_version("9.27")

# A configuration given on the command line stands in for this one instead of being mixed with it.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"


onstart:
    check_start()


rule all:
    default_target: True
    input:
        [],
