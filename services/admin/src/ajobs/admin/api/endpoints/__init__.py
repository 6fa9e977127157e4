"""The endpoints and their operations, one module per kind of resource."""
