"""An audit for leakage: whether a split, or what predicts on it, knows what it must not know.

:func:`audit` (auditing.py) runs every check and returns a :class:`LeakageReport`, with one :class:`Finding`
for each check and the rows that show it (report.py):

- predictions.py: do predictions change with the call, the test labels, or the rows predicted beside them?
- duplicates.py: are rows, texts or groups of the test split in the training split, too?
- training_rows.py: do neighbours, or scores said to be out-of-fold, know the training rows' own labels?

minhash.py finds similar rows without comparing all pairs; ``adathresh.utils.equality`` says which rows and
texts are equal, ``adathresh.posthoc.in_sample`` which scores cannot come from held-out rows. To add a check,
write a function that returns a finding and call it in auditing.py.
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
