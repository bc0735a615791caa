"""Notebook 06: what each part of the released protocol does to its figure."""
