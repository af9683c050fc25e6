"""A local Agents service: the wire of Azure AI agents on this machine, with a real small model."""
