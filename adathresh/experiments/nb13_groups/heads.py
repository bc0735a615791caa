"""A second task in training: from each row the network also predicts the labels of the row's whole group."""

import numpy as np
import scipy.sparse as sp

from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.costs import fit_and_predict
from adathresh.experiments.core.data import rows_key
from adathresh.experiments.core.trainings import PLAIN, network_parameters, train_network
from adathresh.experiments.nb13_groups.tables import ALL_ROWS, compared_rows, value_row
from adathresh.metrics import top_k
from adathresh.paper.classifier import AdaptiveThresholdNetwork
from adathresh.rules import GlobalThreshold
from adathresh.signals.knn import group_codes

SECOND_TASK = "second task"
"""The question, as tables call it."""

ALONE, WITH_HEAD = "network", "network, group head"
"""The network as everywhere, trained by plain cross-entropy, and with a second head while it is trained."""

RULE = "global threshold"
"""What makes label sets of both networks' scores: fitted on the validation rows."""


SWITCHES = {**PLAIN, "pos_weight": 1.0}
"""Switches that leave plain cross-entropy."""


def head_sets(config, ds, *, seed):
    """Label the test rows by both networks; label sets by name."""
    alone, with_head = (
        train_network(config, ds, seed=seed, **SWITCHES),
        with_head_scores(config, ds, seed=seed),
    )
    scores = {ALONE: (alone.validation_scores, alone.test_scores), WITH_HEAD: with_head}
    return {
        name: sp.csr_array(GlobalThreshold().fit(validation, ds.validation.Y).predict(test))
        for name, (validation, test) in scores.items()
    }


def with_head_scores(config, ds, *, seed):
    """Train the network with both heads, once; return its scores of validation and of test rows."""
    parameters, k = {**network_parameters(config), **SWITCHES}, config.numbers.top_scores
    key = {"what": "group head", "data": ds.fingerprint, "rows": rows_key(ds), "seed": seed, "k": k}
    network = AdaptiveThresholdNetwork(random_state=seed, **parameters)
    found = cached_arrays({**key, "parameters": parameters}, lambda: _train(ds, network, k))
    return found["validation_scores"], found["test_scores"]


def labels_of_groups(Y, groups):
    """Return for each row the labels that any row of its group has."""
    codes = group_codes(groups, Y.shape[0])
    members = sp.csr_array((np.ones(len(codes), dtype=np.float32), (codes, np.arange(len(codes)))))
    return sp.csr_array(sp.csr_array(members @ Y > 0)[codes], dtype=np.float32)


def _train(ds, network, k):
    """Fit a network with twice as many outputs, and return the k highest scores of the first half.

    Both heads count alike in the loss. Validation rows have no labels in the second half, so that macro-F1
    over all outputs is half that over the labels, and these alone choose the epoch.
    """
    n_labels = ds.train.Y.shape[1]
    both = sp.hstack([ds.train.Y, labels_of_groups(ds.train.Y, ds.train.groups)], format="csr")
    nothing = sp.csr_array(ds.validation.Y.shape, dtype=np.float32)
    validation = ds.validation.X, sp.hstack([ds.validation.Y, nothing], format="csr")

    def fit():
        network.fit(ds.train.X, both, groups=ds.train.groups, validation=validation)

    def predict():
        return {
            f"{name}_scores": top_k(network.predict_proba(part.X)[:, :n_labels].astype(np.float32), k)
            for name, part in (("validation", ds.validation), ("test", ds.test))
        }

    return fit_and_predict(fit, predict)


def head_rows(config, ds, found):
    """Return the table rows of values and of differences; ``found`` has the label sets of each seed."""
    named = {"question": SECOND_TASK, "rule": RULE, "test_rows": ALL_ROWS}
    sets = {name: [of_seed[name] for of_seed in found] for name in (ALONE, WITH_HEAD)}
    values = [
        value_row(
            config,
            ds,
            ds.test.Y,
            one,
            ds.train.groups,
            **named,
            base="network",
            variant=name,
            seed=seed,
            draw=0,
        )
        for name, of_seeds in sets.items()
        for seed, one in zip(config.seed_list, of_seeds, strict=True)
    ]
    pair = {"a": WITH_HEAD, "b": ALONE}
    return values, compared_rows(
        config, ds.test.Y, sets[WITH_HEAD], sets[ALONE], ds.test.groups, **named, **pair
    )
