"""The HTTP API, run by ``ajc server run``.

``table`` lists what there is: the routes, the checks of parameters and bodies, the OpenAPI document and the page for
people are all made from it.
"""
