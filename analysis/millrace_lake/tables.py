"""The tables that are read here, and what has to run for them to have rows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table of the lake."""

    name: str
    """Its folder."""
    rows: str
    """What one row is."""
    enabled_by: str | None = None
    """The setting that turns its stream on; None of payments, which are always there."""

    def how_to_start(self) -> str:
        """What to do where it has no rows."""
        settings = " and ".join(f"`{name}: true`" for name in (self.enabled_by, "lake_sink.enabled") if name)
        return (
            f"{self.name}: no rows yet: start the stream by `millrace up` with {settings} in "
            "`config/millrace.yml`; rows are written when they are `lake_sink.max_age_ms` old (30 s)."
        )


_ALL = (
    Table("transactions", "a transaction"),
    Table("transaction_aggregates", "a merchant's window and currency, early results too"),
    Table("anomalies", "a fraud alert"),
    Table("funnels", "a session in the shop, and how far it came", "commerce.enabled"),
    Table("revenue", "a region and device's window", "commerce.enabled"),
    Table("device_minutes", "a device's window", "iot.enabled"),
    Table("device_alerts", "the start or end of a device's alert", "iot.enabled"),
)

TABLES: dict[str, Table] = {table.name: table for table in _ALL}
"""By their names."""
