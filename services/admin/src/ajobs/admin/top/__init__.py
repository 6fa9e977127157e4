"""``ajc top``: queues, workers, rates, task types and failures as they are right now, on a terminal."""
