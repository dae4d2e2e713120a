"""Reads the lake of Parquet files that the service lake-sink writes (docs/lake.md)."""

from millrace_lake.lake import Lake, LakeError
from millrace_lake.money import money
from millrace_lake.tables import TABLES, Table
from millrace_lake.versions import first_of_each, newest_of_each

__all__ = ["TABLES", "Lake", "LakeError", "Table", "first_of_each", "money", "newest_of_each"]
