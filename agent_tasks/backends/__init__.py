"""The seam between durable operations and a service of agents: `protocol`, and one module a service."""
