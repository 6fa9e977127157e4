"""``ajc package``: files for building a container with the handlers of an ``asyncjobs.yaml``."""
