"""``ajc package``: what it takes to build a container of the handlers that an ``asyncjobs.yaml`` names."""
