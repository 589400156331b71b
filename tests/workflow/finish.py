"""Run as a script in the folder of a workflow: make it a finished one in seconds, without results.

Snakemake touches the outputs of jobs instead of running them, and here makes them too. So it keeps
of each job what it keeps of one that ran: parameters, inputs and their checksums.
"""

from __future__ import annotations

import sys
from pathlib import Path

from snakemake.cli import main
from snakemake.executors import touch
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo


def make_outputs(executor: touch.Executor, job) -> None:
    """Write every output of a job: text that changes with the job's parameters, code apart."""
    params = {name: value for name, value in job.params.items() if name != "code"}
    for output in job.output:
        path = Path(output)
        path.parent.mkdir(parents=True, exist_ok=True)
        if output.is_directory:
            path.mkdir(exist_ok=True)
        elif path.name == "regions.tsv":
            # As if the subject had every region of the configuration.
            names = job.rule.workflow.globals["settings"].rois
            path.write_text("roi\tvoxels\n" + "".join(f"{roi}\t9\n" for roi in names))
        elif path.name == "members.json":
            # What is in a region follows from its map alone.
            region = Path("data", *path.parts[2:3], "rois", f"{path.parent.name}.nii.gz")
            path.write_text(region.read_bytes().hex() if region.exists() else str(path))
        else:
            path.write_text(f"{path} {sorted(params.items())}")
    executor.report_job_submission(SubmittedJobInfo(job=job))
    executor.report_job_success(SubmittedJobInfo(job=job))


if __name__ == "__main__":
    touch.Executor.run_job = make_outputs
    sys.exit(main(["--touch", "--cores", "1", "--quiet", "all", *sys.argv[1:]]))
