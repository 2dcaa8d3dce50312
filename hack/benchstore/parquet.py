"""Replaces CSV files by the same tables as Parquet: parquet.py default|content-defined FILE..."""

import sys

import pyarrow.csv
import pyarrow.parquet

option, names = sys.argv[1], sys.argv[2:]
for name in names:
    table = pyarrow.csv.read_csv(name)
    pyarrow.parquet.write_table(
        table, name, use_content_defined_chunking=option == "content-defined"
    )
