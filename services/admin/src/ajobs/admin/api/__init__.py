"""The HTTP API, run by ``ajc server run``.

`operations` is the one table of all operations. The routes, the checks of parameters and bodies, the OpenAPI document
and the page at ``/docs`` all come from it.
"""
