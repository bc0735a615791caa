"""Notebook 02: every family of base models under every decision rule."""
