"""What a notebook leaves behind: tables, figures, claims and a record of them, in a folder of its own.

``results/<dataset>/<notebook>/`` holds the published results; a run writes into a folder apart and compares.
"""

import io
import json
from numbers import Number

import pandas as pd

from adathresh import __version__
from adathresh.experiments.core.agreement import agreement
from adathresh.experiments.core.claims import as_table, claims_differ
from adathresh.experiments.core.config import RunConfig, repository_root
from adathresh.experiments.core.costs import COSTS
from adathresh.experiments.core.plotting import use_style
from adathresh.utils.files import whole_file

DECIMALS = 6  # finer differences between two machines are rounding, not results
RECORD = "record.json"
"""What a notebook's results were computed from and which files they are."""

AGREEMENT = "agreement.json"
"""How the results of a run agree with the published ones."""

NO_REFERENCE = "nothing is published to compare with"


def start(notebook, namespace):
    """Begin a notebook: read its parameters, set the style of figures, open its results.

    Parameters
    ----------
    notebook : str
        Name of the notebook, such as "02_baselines".
    namespace : dict of str to object
        ``globals()`` of the notebook, right after its parameters cell.

    Returns
    -------
    config : RunConfig
        The run.
    results : Results
        Where its tables, figures and claims go.
    """
    config = RunConfig.from_notebook(namespace)
    use_style()
    return config, Results(config, notebook)


class Results:
    """The tables, figures and claims of one notebook in one run.

    Parameters
    ----------
    config : RunConfig
        The run. Files are written only if it saves results; only ``adathresh reproduce`` does, so that reading
        or testing a notebook never changes any.
    notebook : str
        Name of the notebook, such as "02_baselines".
    """

    def __init__(self, config, notebook):
        self.config, self.notebook = config, notebook
        self.tables, self.figures, self.agreements = {}, [], {}
        self.claims_differ = None

    @property
    def folder(self):
        """Where this run's files go.

        Returns
        -------
        pathlib.Path
            Inside the folder of the run.
        """
        return self.config.folder / self.notebook

    @property
    def published(self):
        """Where the published results of the same notebook, data set and profile are.

        Returns
        -------
        pathlib.Path or None
            None where there are none.
        """
        reference = self.config.reference_folder
        folder = None if reference is None else reference / self.notebook
        return folder if folder is not None and folder.is_dir() else None

    def table(self, name, rows, *, unseeded=None):
        """Keep a table, and print in one line that does not change how it agrees with the published one.

        Parameters
        ----------
        name : str
            Name of the table, without ``.csv``.
        rows : list of dict or pandas.DataFrame
            The table, in a fixed order; numbers are rounded to six decimals. Seconds and memory, which differ
            between two equal runs, belong into the columns of
            :data:`adathresh.experiments.core.costs.COSTS`, or to :meth:`timings`.
        unseeded : str, optional
            Which rows come from a model that takes no seed, as :meth:`pandas.DataFrame.query` takes it.
        """
        text = as_csv(rows)
        # Read back as verifying reads it, so that types and rounding cannot differ.
        self.tables[name] = read_table(io.StringIO(text))
        self._write(f"{name}.csv", text)
        print(self._compare(name, unseeded))

    def figure(self, name, figure):
        """Keep a figure; equal figures give equal files.

        Parameters
        ----------
        name : str
            Name of the figure, without ``.png``.
        figure : matplotlib.figure.Figure
            The figure.
        """
        self.figures.append(name)
        if self.config.save:
            with whole_file(self.folder / f"{name}.png") as temporary:
                figure.savefig(temporary, dpi=120, metadata={"Software": None})
            self._write_record()

    def timings(self, rows):
        """Keep seconds and memory, which nothing is compared with.

        Parameters
        ----------
        rows : list of dict or pandas.DataFrame
            As collected by :func:`adathresh.experiments.core.costs.timed`.
        """
        self._write("timings.csv", as_csv(rows))

    def claims(self, claims):
        """Evaluate what the notebook claims, and print in lines that do not change whether it holds.

        Parameters
        ----------
        claims : callable
            Takes the tables kept so far by name, returns one dict a claim (see
            :mod:`adathresh.experiments.core.claims`).

        Returns
        -------
        pandas.DataFrame
            Columns claim, outcome and figures.
        """
        table = as_table(claims(self.tables))
        self._write("claims.csv", as_csv(table))
        published = None if self.published is None else self.published / "claims.csv"
        if published is None or not published.is_file():
            print(f"{len(table)} claims; {NO_REFERENCE}")
        else:
            differ = claims_differ(table, read_table(published))
            print(
                f"{len(table) - len(differ)} of {len(table)} claims come out as published", *differ, sep="\n"
            )
            self.claims_differ = differ
        self._write_record(n_claims=len(table))
        return table

    def _compare(self, name, unseeded):
        """Return the line that says how a table agrees with the published one."""
        path = None if self.published is None else self.published / f"{name}.csv"
        if path is None or not path.is_file():
            return f"{name}: {NO_REFERENCE}"
        found = agreement(
            _without_costs(self.tables[name]), _without_costs(read_table(path)), unseeded=unseeded
        )
        self.agreements[name] = found
        self._write_record()
        shown = path.relative_to(repository_root()).as_posix()
        line = f"{found.n_agree} of {found.n_compared} values agree with {shown}"
        return line if found.holds else f"{line}; {found.problem}"

    def _write(self, name, text):
        """Put a text file in place whole, if this run saves results."""
        if self.config.save:
            with whole_file(self.folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8", newline="\n")
            self._write_record()

    def _write_record(self, *, n_claims=None):
        """Say what the results are, and how they agree, as far as the notebook has come."""
        if not self.config.save:
            return
        fingerprints = {
            value
            for table in self.tables.values()
            if "fingerprint" in table
            for value in table["fingerprint"]
        }
        record = {
            "notebook": self.notebook,
            "adathresh": __version__,
            **self.config.to_dict(),
            "fingerprint": " ".join(sorted(fingerprints)) or None,
            "tables": sorted(self.tables),
            "figures": sorted(self.figures),
        }
        agreements = {name: found._asdict() for name, found in sorted(self.agreements.items())}
        compared = {"tables": agreements, "n_claims": n_claims, "claims_differ": self.claims_differ}
        for name, content in ((RECORD, record), (AGREEMENT, compared)):
            with whole_file(self.folder / name) as temporary:
                temporary.write_text(
                    json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
                )


def as_csv(rows):
    """Return rows as CSV text that is the same for equal results on every platform.

    Parameters
    ----------
    rows : list of dict or pandas.DataFrame
        The table.

    Returns
    -------
    str
        Plain CSV, numbers rounded to six decimals.
    """
    return pd.DataFrame(rows).round(DECIMALS).to_csv(index=False, lineterminator="\n")


def read_table(source):
    """Read a table as it was written.

    Parameters
    ----------
    source : path-like or file
        The CSV.

    Returns
    -------
    pandas.DataFrame
        The table; a fingerprint stays text even where it looks like a number.
    """
    return pd.read_csv(source, dtype={"fingerprint": str}, keep_default_na=True, encoding="utf-8")


def read_tables(folder):
    """Read every table of one notebook's results.

    Parameters
    ----------
    folder : pathlib.Path
        A folder that :class:`Results` has written.

    Returns
    -------
    dict of str to pandas.DataFrame
        The tables that its record names.
    """
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return {name: read_table(folder / f"{name}.csv") for name in record["tables"]}


def table_row(config, ds, *, method, base, rule, mode, seed, metrics, split="test"):
    """Describe one evaluated prediction as a row of a table.

    Parameters
    ----------
    config : RunConfig
        The run.
    ds : object
        The data set; its ``fingerprint`` says which rows and labels were used.
    method : str
        Where thresholds or predictions come from.
    base : str
        The base model that gives the scores.
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
        "fingerprint": str(ds.fingerprint)[:16],
        "split": split,
        "method": method,
        "base": base,
        "rule": rule,
        "mode": mode,
        "seed": seed,
        **metrics,
    }


def summarize(rows, *, by=("method", "base", "rule", "mode"), metrics=None, digits=3):
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
    >>> from adathresh.experiments.core.results import summarize
    >>> rows = [{"rule": "fixed", "macro_f1": 0.1}, {"rule": "fixed", "macro_f1": 0.3}]
    >>> summarize(rows, by=["rule"]).loc[0, "macro_f1"]
    '0.200 ± 0.141'
    """
    frame, by = pd.DataFrame(rows), list(by)
    if metrics is None:
        metrics = [name for name in frame.select_dtypes("number").columns if name not in (*by, "seed")]
    groups = frame.groupby(by, sort=False, dropna=False)[list(metrics)]
    return groups.agg(lambda values: _mean_and_deviation(values, digits)).reset_index()


def _mean_and_deviation(values, digits):
    """Return the text for one cell of a summary; a single value has no deviation."""
    mean = f"{values.mean():.{digits}f}"
    return f"{mean} ± {values.std():.{digits}f}" if len(values) > 1 else mean


def _without_costs(table):
    """Return a table without what differs between two equal runs."""
    return table.drop(columns=list(COSTS), errors="ignore")
