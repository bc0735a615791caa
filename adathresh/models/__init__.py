"""The rivals: thin adapters over well-kept libraries."""
