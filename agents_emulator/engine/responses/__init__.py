"""How a run is told in the successor's words: responses, their items and events."""
