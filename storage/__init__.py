"""The adapters of the ports: the only place that knows databases."""
