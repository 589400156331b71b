"""The voxel browser at full size, of random content: writing it, opening it, a search, a card.

Needs Chromium on the machine and Playwright. Times in the page are from the call to the first frame
after it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import read_options, time_call, write_records
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.browser.synthetic import make_voxels, write_site  # noqa: E402

SEARCH = """async () => {
  const start = performance.now(), field = document.getElementById("search");
  field.value = "word12";
  field.dispatchEvent(new Event("input"));
  await new Promise(requestAnimationFrame);
  return (performance.now() - start) / 1000;
}"""
CARD = """async (voxel) => {
  const start = performance.now();
  location.hash = `#subj01/all/${voxel}`;
  while (!document.querySelector(`article[data-voxel="${voxel}"]`))
    await new Promise(requestAnimationFrame);
  return (performance.now() - start) / 1000;
}"""


def main() -> None:
    options = read_options(__doc__.splitlines()[0], voxels=15_000, images=50)
    words = np.array([f"word{number}" for number in range(2000)])
    with tempfile.TemporaryDirectory() as name, sync_playwright() as running:
        folder = Path(name)
        times = {}
        times["write"], _ = time_call(
            lambda: write_site(
                folder,
                {"all": options.voxels},
                images=options.images,
                words=words,
                group=np.arange(len(words)),
                tokens=256,
                voxels=make_voxels(options.voxels, shape=(40, 40, 40)),
            )
        )
        path = shutil.which("chromium")
        browser = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(300_000)

        def open_page() -> None:
            page.goto((folder / "index.html").as_uri())
            page.wait_for_selector("html[data-ready]")

        times["open"], _ = time_call(open_page)
        times["search"] = min(page.evaluate(SEARCH) for _ in range(3))
        times["card"] = page.evaluate(CARD, options.voxels // 2)
        browser.close()
        files = [path for path in folder.rglob("*") if path.is_file()]
        sizes = {"voxels": options.voxels, "images": options.images}
        sizes["megabytes"] = round(sum(path.stat().st_size for path in files) / 1e6)
        sizes["files"] = len(files)
    records = [
        {"name": f"browser_{name}", "seconds": round(seconds, 3), "sizes": sizes}
        for name, seconds in times.items()
    ]
    write_records("browser", records, libraries=["playwright"], directory=options.results)


if __name__ == "__main__":
    main()
