"""What every notebook needs and no notebook asks.

``config`` is one run; ``data`` loads its data set; ``base_models`` and ``rules`` are the two registries,
``crossfit`` scores rows out of fold, ``trainings`` trains the paper's network; ``evaluation`` measures label
sets; ``results`` keeps tables, figures and claims, ``agreement`` and ``claims`` compare them with what is
published; ``cache`` keeps slow computations for as long as they are valid (``dependencies``); ``execution``
runs a notebook; ``plotting``, ``costs`` and ``parallel`` serve all of them.
"""
