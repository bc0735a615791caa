"""Summaries over the results of all data sets."""
