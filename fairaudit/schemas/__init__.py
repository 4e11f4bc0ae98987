"""The JSON Schemas of what fairaudit writes, as package data."""
