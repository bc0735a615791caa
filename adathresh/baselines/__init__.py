"""The old name of :mod:`adathresh.models`, kept for what was written before."""
