"""Middleware: what can be put around handlers, see `Router.use`."""

from asyncjobs.worker.middleware.chain import Handle, Middleware, chain
from asyncjobs.worker.middleware.log_runs import log_runs
from asyncjobs.worker.middleware.recover import recover
from asyncjobs.worker.middleware.time_limit import time_limit
from asyncjobs.worker.middleware.tracing import tracing

__all__ = ["Handle", "Middleware", "chain", "log_runs", "recover", "time_limit", "tracing"]
