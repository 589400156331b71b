"""Write the configuration beside the results that it makes."""

import json
from pathlib import Path

from mine.history import write_history
from mine.logging import start_logging

start_logging(snakemake)
# In its own order, since labels in maps count the categories in theirs.
text = json.dumps(snakemake.params.configuration, indent=2, ensure_ascii=False)
Path(snakemake.output[0]).write_text(text + "\n", encoding="utf-8")
write_history(snakemake)
