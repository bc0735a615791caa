"""Hostile inputs for the readers of data files, and what every reader owes them.

``inputs.py`` makes files that are almost right, by format and seed; ``reference.py`` reads them naively, one
Python operation at a time; ``properties.py`` compares. A short run is part of the tests
(tests/datasets/test_fuzz.py), a long one is a command, from the root of the repository:

    python -m tests.fuzz --inputs 500000
"""
