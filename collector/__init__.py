"""The field: meter models as data, planning, decoding, the bus, polling, relay commands."""
