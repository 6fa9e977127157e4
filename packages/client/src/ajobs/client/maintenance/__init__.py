"""Background repair of stuck tasks."""
