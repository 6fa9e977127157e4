"""Middleware: functions wrapped around handlers. See `Router.use`."""

from ajobs.worker.middleware.chain import Handle, Middleware, chain
from ajobs.worker.middleware.log_runs import log_runs
from ajobs.worker.middleware.recover import recover
from ajobs.worker.middleware.time_limit import time_limit
from ajobs.worker.middleware.tracing import tracing

__all__ = ["Handle", "Middleware", "chain", "log_runs", "recover", "time_limit", "tracing"]
