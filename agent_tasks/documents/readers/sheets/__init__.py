"""Spreadsheets: cells as they are shown, each with its place."""
