"""Fuzz targets for every parser of outside text: a small budget in CI, more with ``make fuzz MINUTES=n``."""
