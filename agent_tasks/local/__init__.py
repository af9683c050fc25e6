"""Servers of this machine: what starts, shares and ends them, Azurite, and a host for the Function App."""
