"""Create tasks from schedules: the scheduler service, for a program of your own or as ``ajobs-scheduler``."""

from ajobs.scheduler.scheduler import Scheduler

__all__ = ["Scheduler"]
