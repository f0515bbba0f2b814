"""Joins icon themes (parquet files with `image` and `context`) into one labelled source.

python examples/builtin/icons.py OUT.parquet THEME.parquet …
"""

from __future__ import annotations

import sys

import pyarrow as pa
import pyarrow.parquet as pq


def main(out: str, *themes: str) -> None:
    tables = [pq.read_table(theme, columns=["image", "context"]) for theme in themes]
    joined = pa.concat_tables([t.replace_schema_metadata(None) for t in tables]).rename_columns(["image", "label"])
    pq.write_table(joined, out)
    print(f"{joined.num_rows} icons of {len(joined.column('label').unique())} contexts in {out}")


if __name__ == "__main__":
    main(*sys.argv[1:])
