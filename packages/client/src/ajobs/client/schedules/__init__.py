"""Schedules: cron expressions, intervals and their documents."""
