"""Writing and reading a store against numpy's own file of the same numbers on the same disk.

Tokens of random numbers hardly compress, as real ones do not; so time and size are those of a
hard case. Reading by rows takes some images out of all, as every stage does.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import xarray as xr
from common import peak_memory, read_options, time_call, write_records

from mine.shards import open_images
from mine.stores import open_store, write_store


def main() -> None:
    options = read_options(__doc__.splitlines()[0], images=1000, tokens=256, features=512, rows=100)
    random = np.random.default_rng(0)
    shape = (options.images, options.tokens, options.features)
    tokens = random.standard_normal(shape, dtype=np.float32).astype(np.float16)
    dataset = xr.Dataset(
        {"tokens": (("image", "token", "feature"), tokens)}, coords={"image": np.arange(shape[0])}
    )
    rows = np.sort(random.choice(shape[0], options.rows, replace=False))
    with tempfile.TemporaryDirectory() as folder:
        store, plain = Path(folder) / "tokens.zarr", Path(folder) / "tokens.npy"
        pairs = {
            "store_write": (
                lambda: write_store(dataset, store, provenance={}),
                lambda: np.save(plain, tokens),
            ),
            "store_read": (
                lambda: open_store(store)["tokens"].values,
                lambda: np.load(plain),
            ),
            "store_read_rows": (
                lambda: open_images([store], rows)["tokens"].values,
                lambda: np.load(plain, mmap_mode="r")[rows],
            ),
        }
        records = []
        for name, (ours, theirs) in pairs.items():
            seconds, found = time_call(ours, repeats=3)
            rival_seconds, expected = time_call(theirs, repeats=3)
            same = 0.0 if expected is None else float(np.abs(found - expected).max())
            records.append(
                {
                    "name": name,
                    "seconds": round(seconds, 3),
                    "rival": "numpy.save and numpy.load",
                    "rival_seconds": round(rival_seconds, 3),
                    "ratio": round(rival_seconds / seconds, 3),
                    "relative_difference": same,
                }
            )
        files = [path for path in store.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
    common = {
        "sizes": {
            name: getattr(options, name) for name in ("images", "tokens", "features", "rows")
        },
        "files": len(files),
        "size_of_numpy": round(size / tokens.nbytes, 3),
        "peak_mb": peak_memory(),
    }
    write_records(
        "stores",
        [record | common for record in records],
        libraries=("numpy", "zarr", "zarrs", "xarray"),
        directory=options.results,
    )


if __name__ == "__main__":
    main()
