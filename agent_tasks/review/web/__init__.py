"""The desk as a page: a queue, and each document beside its values. Nothing comes from elsewhere."""
