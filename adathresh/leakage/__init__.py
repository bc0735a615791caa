"""An audit for leakage: what predictions and splits know that they must not, with the rows that show it.

:func:`audit` runs every check and returns a :class:`LeakageReport` with one :class:`Finding` for each:

- ``predictions``: does what is predicted change with the call, the test labels, or the other rows?
- ``duplicates``: do rows, texts or groups of the test part stand in the training part as well?
- ``training_rows``: do neighbours, or scores said to be out-of-fold, know the training rows' own labels?

``adathresh.utils.equality`` and ``minhash`` say which rows and texts are equal or similar,
``adathresh.posthoc.in_sample`` which scores cannot come from held-out rows. To add a check, write a function that returns a finding and call it in ``auditing``.
"""

import importlib

# Loaded on first use: the threshold rule looks for signs in scores and the data sets count equal rows, and
# neither needs the audit, which loads every check.
_MODULES = {
    "Finding": "adathresh.leakage.report",
    "InSampleSigns": "adathresh.posthoc.in_sample",
    "LeakageReport": "adathresh.leakage.report",
    "audit": "adathresh.leakage.auditing",
    "in_sample_signs": "adathresh.posthoc.in_sample",
    "only_words": "adathresh.utils.equality",
}

__all__ = sorted(_MODULES)


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module 'adathresh.leakage' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__():
    return [*globals(), *__all__]
