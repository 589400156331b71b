"""Write the pages of the voxel browser, which show the data that lie beside them."""

import shutil
from pathlib import Path

from mine.browser.scripts import write_script
from mine.figures.voxels import WITHHELD
from mine.history import write_history
from mine.logging import start_logging

log = start_logging(snakemake)
output, params = snakemake.output, snakemake.params
for page in map(Path, output.pages):
    shutil.copyfile(Path(snakemake.scriptdir).parent / "browser" / page.name, page)
site = {
    "name": params.name,
    "subjects": params.subjects,
    "images": params.browser["write_images"],
    "withheld": WITHHELD,
}
write_script(Path(output.site), "site", site)
log.info("open %s in any browser", output.pages[0])
write_history(snakemake)
