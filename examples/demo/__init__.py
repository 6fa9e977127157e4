"""The demo: digests of real files, made by real workers, and a report that depends on all of them."""
