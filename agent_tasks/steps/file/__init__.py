"""The engine of pipeline files with steps: loaded, checked, drawn, and carried out for each document."""
