"""The operations, one module a resource: body builders, handlers, and the list of its operations."""
