"""The command line ``ajc``: everything that an operator does from a terminal."""
