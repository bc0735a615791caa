"""Label sets measured and compared: the rows of the tables that several notebooks write."""

from itertools import product

import numpy as np
from joblib import delayed

from adathresh.experiments.core.crossfit import fitting_labels
from adathresh.experiments.core.parallel import side_by_side
from adathresh.experiments.core.results import table_row
from adathresh.experiments.core.rules import OURS, Prediction
from adathresh.metrics import FREQUENCY_BINS, evaluate, paired_bootstrap

HEADLINE = ("macro_f1", "macro_f1_present", "micro_f1", "samples_f1", "precision_at_1", "precision_at_5")
"""The metrics that the notebooks show; the tables on disk hold all."""

BINS = {name: f"macro_f1_{suffix}" for name, suffix in FREQUENCY_BINS.items()}
"""Names of the bins of training frequency, and their metrics."""


def label_frequency(Y):
    """Count the rows of every label.

    Parameters
    ----------
    Y : scipy.sparse.csr_array of shape (n_samples, n_labels)
        Labels, 0 or 1.

    Returns
    -------
    numpy.ndarray of shape (n_labels,)
        Counts.
    """
    return np.bincount(Y.indices, minlength=Y.shape[1])


def metrics_on_test(ds, prediction, *, Y_fitted=None):
    """Evaluate a prediction of the test rows.

    Parameters
    ----------
    ds : Dataset
        The data set.
    prediction : Prediction
        What a rule says of the test rows.
    Y_fitted : scipy.sparse.csr_array, optional
        Labels of the rows that the prediction was learnt from, which tell how rare a label is; None: the
        training rows.

    Returns
    -------
    dict of str to float
        Every metric of :func:`adathresh.metrics.evaluate`.
    """
    Y_fitted = ds.train.Y if Y_fitted is None else Y_fitted
    return evaluate(
        ds.test.Y,
        prediction.label_sets,
        scores=prediction.probabilities,
        train_frequency=label_frequency(Y_fitted),
        n_train=Y_fitted.shape[0],
    )


def crossfit_metrics(ds, prediction):
    """Evaluate a prediction by a rule that training and validation rows were fitted on.

    Parameters
    ----------
    ds : Dataset
        The data set.
    prediction : Prediction
        What a rule says of the test rows.

    Returns
    -------
    dict of str to float
        As :func:`metrics_on_test`; how rare a label is, training and validation rows tell.
    """
    return metrics_on_test(ds, prediction, Y_fitted=fitting_labels(ds))


def rule_rows(config, ds, base, predictions, *, seed, metrics=crossfit_metrics):
    """Evaluate the label sets of every rule on the test rows.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set.
    base : str
        Name of the base model.
    predictions : dict of str to Prediction
        The rules by name; names of this package's rule begin with "adaptive".
    seed : int
        The random state.
    metrics : callable, default=crossfit_metrics
        Takes the data set and a prediction, returns a dict of str to float.

    Returns
    -------
    list of dict
        One table row a rule.
    """
    return [
        table_row(
            config,
            ds,
            method="adathresh" if rule.startswith(OURS) else "rival rule",
            base=base,
            rule=rule,
            mode=prediction.mode,
            seed=seed,
            metrics=metrics(ds, prediction),
        )
        for rule, prediction in predictions.items()
    ]


def interval_rows(config, ds, label_sets, reference, *, random_state, base, **more):
    """Compare one rule's label sets with those of all others, by a paired bootstrap over test rows.

    Parameters
    ----------
    config : RunConfig
        The run; its profile has the number of draws.
    ds : Dataset
        The data set.
    label_sets : dict of str to list of scipy.sparse.csr_array
        Label sets of the test rows by rule, one for each repetition.
    reference : str
        The rule that the others are compared with.
    random_state : int
        Of the draws.
    base : str
        Name of the base model.
    **more : object
        Further columns.

    Returns
    -------
    list of dict
        Mean difference over the repetitions in macro-F1 and micro-F1, ``reference`` minus the other, with its
        95 % interval.
    """
    others = {rule: found for rule, found in label_sets.items() if rule != reference}
    options = {"n_draws": config.numbers.n_bootstrap, "random_state": random_state}
    intervals = {
        metric: paired_bootstrap(ds.test.Y, label_sets[reference], others, metric=metric, **options)
        for metric in ("macro_f1", "micro_f1")
    }
    return [
        {"base": base, "a": reference, "b": rule, "metric": metric, **more, **intervals[metric][rule]}
        for rule, metric in product(others, intervals)
    ]


def method_rows(config, ds, runs, *, seed):
    """Evaluate trained methods, cut where z = θ, on the test rows.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set.
    runs : dict of str to TrainedMethod
        The methods by name.
    seed : int
        Their seed.

    Returns
    -------
    list of dict
        One table row a method.
    """
    return [
        table_row(
            config,
            ds,
            method=name,
            base="network",
            rule="z > θ",
            mode="inductive",
            seed=seed,
            metrics=metrics_on_test(ds, Prediction(run.test_predicted, run.test_scores)),
        )
        for name, run in runs.items()
    ]


def method_differences(config, ds, runs, *, reference, seed):
    """Compare one trained method with all others, by a paired bootstrap over test rows.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        The data set.
    runs : dict of str to TrainedMethod
        The methods by name.
    reference : str
        The method that the others are compared with.
    seed : int
        Their seed.

    Returns
    -------
    list of dict
        As :func:`interval_rows`.
    """
    label_sets = {name: [run.test_predicted] for name, run in runs.items()}
    return interval_rows(config, ds, label_sets, reference, random_state=seed, base="network", seed=seed)


def on_every_base(work, config, ds, bases):
    """Do the same work for every base model and seed, side by side.

    Parameters
    ----------
    work : callable
        Takes the run, the data set, a base model's name and a seed.
    config : RunConfig
        The run.
    ds : Dataset
        The data set.
    bases : sequence of str
        Names of base models.

    Returns
    -------
    list
        What the work returns, base model by base model, and of each the seeds in order.
    """
    return side_by_side(
        delayed(work)(config, ds, base, seed=seed) for base in bases for seed in config.seed_list
    )
