"""The ajobs-worker process."""
