"""What every service process needs and no producer does: options, logging, health and the life of a process.

Internal to the services of ajobs. Import its modules: this package exports nothing, so that each costs only itself.
"""
