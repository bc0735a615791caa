"""Every family of base models, trained on the same rows; each once for a data set, a profile and a seed."""

import hashlib
import shutil
from contextlib import contextmanager

from sklearn.base import clone

from adathresh.experiments.core.cache import cached_arrays
from adathresh.experiments.core.costs import cost_of, fit_and_predict
from adathresh.experiments.core.models import BASES, BaseScores, base_scores, rows_key
from adathresh.models._texts import TextClassifier
from adathresh.models.forest import ExtraTrees
from adathresh.models.linear import LinearOneVsRest
from adathresh.models.logistic import LogisticHead
from adathresh.models.neighbors import MLkNN, NeighborShares
from adathresh.models.transformer import FineTunedTransformer, FrozenTransformer
from adathresh.models.tree import LabelTree
from adathresh.utils.files import cache_folder

# Beyond this, one-vs-rest training on all rows takes too long, and a label tree makes sense.
_MANY_LABELS = 100


def more_families(config, ds, *, seed):
    """Return the families of base models beyond those of :data:`adathresh.experiments.core.models.BASES`.

    Parameters
    ----------
    config : RunConfig
        The run; its profile says how many tokens a transformer reads and how many steps it is tuned.
    ds : Dataset
        As :func:`adathresh.experiments.core.models.prepare` returns it.
    seed : int
        Of the training; omikuji, which grows the label trees, takes none.

    Returns
    -------
    dict of str to estimator
        Not fitted. A label tree where there are many labels, else extremely randomised trees; sentence
        transformers only where the rows have texts. A family whose optional package is missing is no less
        part of the table: its ``fit`` raises ImportError and names the extra to install.
    """
    many, numbers = ds.train.Y.shape[1] > _MANY_LABELS, config.numbers
    models = {
        "linear SVM": LinearOneVsRest(shortlist=NeighborShares() if many else None, random_state=seed),
        "ML-kNN": MLkNN(),
    }
    if many:
        models["label tree"] = LabelTree()
    else:
        models["extra trees"] = ExtraTrees(random_state=seed)
    if ds.train.texts is not None:
        head = LogisticHead(random_state=seed)
        models["MiniLM, frozen"] = FrozenTransformer(head, max_length=numbers.text_tokens)
        models["MiniLM, fine-tuned"] = FineTunedTransformer(
            max_length=numbers.text_tokens,
            max_steps=numbers.tuning_steps,
            head_learning_rate=1e-3,  # the head has been trained already
            head=head,
            random_state=seed,
        )
    return models


def family_names(config, ds):
    """Name every family that is trained on a data set.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        As :func:`adathresh.experiments.core.models.prepare` returns it.

    Returns
    -------
    list of str
        The bases that other notebooks share first.
    """
    return [*BASES, *more_families(config, ds, seed=0)]


def family_scores(config, ds, family, *, seed):
    """Train one family on the training rows and score the dev and the test rows, once.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : Dataset
        As :func:`adathresh.experiments.core.models.prepare` returns it.
    family : str
        One of :func:`family_names`.
    seed : int
        Of the training.

    Returns
    -------
    BaseScores
        Probabilities.
    """
    if family in BASES:
        return base_scores(config, ds, family, seed=seed)
    model, k = more_families(config, ds, seed=seed)[family], config.numbers.top_scores
    key = {"what": "family", "family": family, "data": ds.fingerprint, "rows": rows_key(ds)}
    key |= {"model": repr(model), "seed": seed, "k": k}
    arrays = cached_arrays(key, lambda: _fit_and_score(ds, model, k))
    return BaseScores(arrays["dev"], arrays["test"], cost_of(arrays))


def _fit_and_score(ds, model, k):
    """Return a family's scores as arrays, with what they cost."""
    what = "texts" if isinstance(model, TextClassifier) else "X"
    train, dev, test = (getattr(rows, what) for rows in ds.splits.values())
    with _resumable(ds, model) as model:
        return fit_and_predict(
            lambda: model.fit(train, ds.train.Y),
            lambda: {"dev": model.top_scores(dev, k=k), "test": model.top_scores(test, k=k)},
        )


@contextmanager
def _resumable(ds, model):
    """Let an interrupted fine-tuning go on when it is called again; once it is done nothing is left of it."""
    if not isinstance(model, FineTunedTransformer):
        yield model
        return
    name = hashlib.sha256(f"{ds.fingerprint} {model!r}".encode()).hexdigest()[:16]
    folder = cache_folder() / "fine-tuning" / name
    yield clone(model).set_params(checkpoint_dir=folder)
    shutil.rmtree(folder)
