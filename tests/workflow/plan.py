"""Plan in each of some folders, with one start of Snakemake; what it says goes to the file `said`.

Run as a script. A fork for each folder, since Snakemake keeps what it has read.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from snakemake.cli import main
from snakemake.jobs import Job

# With a message a planned job would be named by that alone, and not by its rule and wildcards.
Job.message = property(lambda job: None)


def plan(folder: str) -> None:
    os.chdir(folder)
    if Path("src").is_dir():
        sys.path.insert(0, f"{folder}/src")
    said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    main(["-n"])


if __name__ == "__main__":
    for each in sys.argv[1:]:
        if os.fork() == 0:
            try:
                plan(each)
            finally:
                os._exit(0)
        os.wait()
