"""The demo: real workers compute digests of real files, and a report task depends on all of them."""
