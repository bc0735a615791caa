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

from adathresh.utils.lazy import lazy_names

# Loaded on first use: the threshold rule looks for signs in scores and the data sets count equal rows, and
# neither needs the audit, which loads every check.
MODULES = {
    "Finding": "adathresh.leakage.report",
    "InSampleSigns": "adathresh.posthoc.in_sample",
    "LeakageReport": "adathresh.leakage.report",
    "audit": "adathresh.leakage.auditing",
    "in_sample_signs": "adathresh.posthoc.in_sample",
    "only_words": "adathresh.utils.equality",
}

__all__ = sorted(MODULES)

__getattr__, __dir__ = lazy_names(__name__, MODULES)
