"""``ajc top``: queues, workers, rates, task types and failures live on a terminal."""
