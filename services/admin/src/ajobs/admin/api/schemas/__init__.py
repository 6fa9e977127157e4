"""The types of request bodies, query parameters and response bodies. The OpenAPI schemas come from them."""
