"""The small model that the demo starts from, as package data."""
