"""Result tables and figures: built by notebooks, compared with the published ones, written by the runner."""

import io
from numbers import Number

import numpy as np
import pandas as pd

from adathresh.experiments.core.config import repository_root
from adathresh.experiments.core.costs import COSTS
from adathresh.utils.files import whole_file

DECIMALS = 6  # finer differences between two machines are rounding, not results


def table_row(config, dataset, *, method, base, rule, mode, seed, metrics, split="test"):
    """Describe one evaluated prediction as a row of a results table.

    Parameters
    ----------
    config : RunConfig
        The run.
    dataset : object
        The data set; its ``fingerprint`` says which rows and labels were used.
    method : str
        Where thresholds or predictions come from, for example ``"fixed cut"``.
    base : str
        The model that gives the scores.
    rule : str
        The decision rule.
    mode : {"inductive", "transductive"}
        Whether the rule was fitted before the evaluated rows were seen, or on their unlabelled scores.
    seed : int
        The random state.
    metrics : dict of str to float
        As returned by :func:`adathresh.metrics.evaluate`.
    split : str, default="test"
        The evaluated rows.

    Returns
    -------
    dict
        The identifying columns, then the metrics.

    Raises
    ------
    ValueError
        If mode is neither of the two.
    TypeError
        If a metric is not one number.
    """
    if mode not in ("inductive", "transductive"):
        raise ValueError(f"mode must be 'inductive' or 'transductive'; got {mode!r}.")
    for name, value in metrics.items():
        if not isinstance(value, Number):
            raise TypeError(f"metric {name!r} must be one number; got {type(value).__name__}.")
    return {
        "dataset": config.dataset,
        "fingerprint": str(dataset.fingerprint)[:16],
        "split": split,
        "method": method,
        "base": base,
        "rule": rule,
        "mode": mode,
        "seed": seed,
        **metrics,
    }


def summarise(rows, *, by=("method", "base", "rule", "mode"), metrics=None, digits=3):
    """Average the repetitions of each row, for display.

    Parameters
    ----------
    rows : list of dict or pandas.DataFrame
        One row per repetition.
    by : sequence of str, default=("method", "base", "rule", "mode")
        The columns that tell rows apart.
    metrics : sequence of str, optional
        The columns to average; None for every numeric one except ``seed``.
    digits : int, default=3
        Decimals shown.

    Returns
    -------
    pandas.DataFrame
        One row per group in order of appearance; ``mean ± standard deviation`` over repetitions, or the value
        itself where there is only one.

    Examples
    --------
    >>> from adathresh.experiments.core.tables import summarise
    >>> rows = [{"rule": "fixed", "macro_f1": 0.1}, {"rule": "fixed", "macro_f1": 0.3}]
    >>> summarise(rows, by=["rule"]).loc[0, "macro_f1"]
    '0.200 ± 0.141'
    """
    frame, by = pd.DataFrame(rows), list(by)
    if metrics is None:
        metrics = [name for name in frame.select_dtypes("number").columns if name not in (*by, "seed")]
    groups = frame.groupby(by, sort=False, dropna=False)[list(metrics)]

    return groups.agg(lambda values: _mean_and_deviation(values, digits)).reset_index()


def compare_table(config, name, rows, *, tolerance=0.01, columns=None, where=None):
    """Print, in one line that does not change, how a table agrees with the published one.

    Call it before :func:`write_table`: in a run that regenerates the published folder, the table on disk is
    the reference only until it is replaced.

    Parameters
    ----------
    config : RunConfig
        The run; data set and profile say which published table is meant.
    name : str
        Name of the table, without ``.csv``.
    rows : list of dict or pandas.DataFrame
        The table, in a fixed order. The columns of :data:`adathresh.experiments.core.costs.COSTS` are left out.
    tolerance : float, default=0.01
        Largest absolute difference of a number that counts as agreement. Text and ``seed`` must be equal.
    columns : dict of str to float, optional
        Columns with a tolerance of their own, for what few pairs or labels decide.
    where : str, optional
        Which rows' numbers are compared, as :meth:`pandas.DataFrame.query` takes it; None for all. Both
        tables must describe the same rows in any case.
    """
    print(_comparison(config, name, rows, tolerance, columns or {}, where))


def write_table(config, name, rows):
    """Write a table as plain CSV, if this run saves results.

    Parameters
    ----------
    config : RunConfig
        The run.
    name : str
        Name of the table, without ``.csv``.
    rows : list of dict or pandas.DataFrame
        The table; floats are rounded to six decimals. What differs between two equal runs, seconds and
        memory, belongs into the columns of :data:`adathresh.experiments.core.costs.COSTS` or to
        :func:`write_timings`.
    """
    if config.save:
        _write_csv(config.folder / f"{name}.csv", rows)


def write_timings(config, notebook, rows):
    """Put one notebook's seconds and memory into ``timings.csv``, if this run saves results.

    Parameters
    ----------
    config : RunConfig
        The run.
    notebook : str
        Name of the notebook, for example ``"02_baselines"``; its earlier rows are replaced.
    rows : list of dict or pandas.DataFrame
        As collected by :func:`adathresh.experiments.core.costs.timed`.
    """
    if not config.save:
        return
    path, frame = config.folder / "timings.csv", pd.DataFrame(rows)
    frame.insert(0, "notebook", notebook)
    if path.is_file():
        earlier = pd.read_csv(path)
        frame = pd.concat([earlier[earlier["notebook"] != notebook], frame], ignore_index=True)
    _write_csv(path, frame.sort_values("notebook", kind="stable"))


def save_figure(config, name, figure):
    """Write a figure as PNG, if this run saves results; equal figures give equal files.

    Parameters
    ----------
    config : RunConfig
        The run.
    name : str
        Name of the figure, without ``.png``.
    figure : matplotlib.figure.Figure
        The figure.
    """
    if config.save:
        with whole_file(config.folder / "figures" / f"{name}.png") as temporary:
            figure.savefig(temporary, dpi=120, metadata={"Software": None})


def _mean_and_deviation(values, digits):
    """Return the text for one cell of a summary; a single value has no deviation."""
    mean = f"{values.mean():.{digits}f}"
    return f"{mean} ± {values.std():.{digits}f}" if len(values) > 1 else mean


def _as_csv(rows):
    """Return rows as CSV text that is the same for equal results on every platform."""
    return pd.DataFrame(rows).round(DECIMALS).to_csv(index=False, lineterminator="\n")


def _write_csv(path, rows):
    """Put a table in place whole."""
    with whole_file(path) as temporary:
        temporary.write_text(_as_csv(rows), encoding="utf-8", newline="\n")


def _read_results(source):
    """Read a table but its costs; a fingerprint stays text even where it looks like a number."""
    return pd.read_csv(source, dtype={"fingerprint": str}).drop(columns=list(COSTS), errors="ignore")


def _comparison(config, name, rows, tolerance, columns, where):
    """Return the line that :func:`compare_table` prints."""
    if config.reference_folder is None:
        return "no reference table: this adathresh is installed without its repository"
    path = config.reference_folder / f"{name}.csv"
    shown = path.relative_to(repository_root()).as_posix()
    if not path.is_file():
        return f"no reference table yet: {shown}"
    # Both sides go through the same text, so that types and rounding cannot differ.
    here, there = _read_results(io.StringIO(_as_csv(rows))), _read_results(path)
    numeric = [c for c in here if c != "seed" and _is_numeric(here, c) and _is_numeric(there, c)]
    mismatch = _mismatch(here, there, numeric)
    if mismatch:
        return f"not comparable with {shown}: {mismatch}"
    if where is not None:
        here, there, shown = here.query(where), there.query(where), f"{shown} where {where}"
    return _agreement(here[numeric], there[numeric], tolerance, columns, shown)


def _is_numeric(frame, column):
    """Whether a column is there and holds numbers only."""
    return column in frame and pd.api.types.is_numeric_dtype(frame[column])


def _mismatch(here, there, numeric):
    """Say why two tables do not describe the same rows, or return None."""
    if list(here) != list(there):
        return f"columns here {list(here)}, there {list(there)}"
    if len(here) != len(there):
        return f"{len(here)} rows here, {len(there)} there"
    for column in here.columns.difference(numeric, sort=False):
        ours, theirs = here[column].astype(str), there[column].astype(str)
        for row in np.flatnonzero(ours != theirs)[:1]:
            return f"{column} in row {row + 1} is {ours[row]!r} here, {theirs[row]!r} there"
    return None


def _agreement(here, there, tolerance, columns, shown):
    """Count the numbers that agree and name the one that is farthest off."""
    allowed = np.array([columns.get(column, tolerance) for column in here])
    ours, theirs = here.to_numpy(float), there.to_numpy(float)
    difference = np.where(np.isnan(ours) & np.isnan(theirs), 0.0, np.abs(ours - theirs))
    difference = np.where(np.isnan(difference), np.inf, difference)  # a number on one side only
    n_within = int((difference <= allowed).sum())
    others = "".join(f", {column} {value:g}" for column, value in columns.items())
    line = f"{n_within} of {ours.size} values within {tolerance:g}{others} of {shown}"
    if n_within == ours.size:
        return line
    row, column = np.unravel_index((difference - allowed).argmax(), difference.shape)
    place = f"{here.columns[column]} in row {here.index[row] + 1}"
    farthest = f"{place}: {ours[row, column]:g} here, {theirs[row, column]:g} there"
    return f"{line}; farthest off: {farthest}"
