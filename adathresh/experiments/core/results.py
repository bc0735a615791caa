"""What a notebook leaves behind: tables, figures, claims and a record of them, in a folder of its own.

``results/<dataset>/<notebook>/`` holds the published results; a run writes into a folder apart and compares.
"""

import hashlib
import io
import json
from numbers import Number

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Image, display

from adathresh import __version__
from adathresh.experiments.core.agreement import agreement
from adathresh.experiments.core.claims import as_table, claims_differ
from adathresh.experiments.core.config import RunConfig, repository_root
from adathresh.experiments.core.costs import COSTS
from adathresh.experiments.core.display import shown
from adathresh.experiments.core.plotting import described, use_style
from adathresh.experiments.core.sentences import counted
from adathresh.utils.files import whole_file

DECIMALS = 6  # finer differences between two machines are rounding, not results
RECORD = "record.json"
"""What a notebook's results were computed from and which files they are."""

AGREEMENT = "agreement.json"
"""How the results of a run agree with the published ones."""

DPI, SHOWN_DPI = 160, 80  # of figures: as they are drawn, and as notebooks show them on common screens

LONGEST_TABLE = 20
"""Lines of a table of claims that a notebook shows."""

NO_REFERENCE = "nothing is published to compare with"


def start(notebook, namespace):
    """Begin a notebook: read its parameters, set the style of figures, open its results.

    ``namespace`` is ``globals()`` right after the parameters cell.
    """
    config = RunConfig.from_notebook(namespace)
    use_style()
    return config, Results(config, notebook)


class Results:
    """The tables, figures and claims of one notebook, such as "02_baselines", in one run.

    Files are written only if the run saves results. Only ``adathresh reproduce`` does, so that reading or
    testing a notebook never changes any.
    """

    def __init__(self, config, notebook):
        self.config, self.notebook = config, notebook
        self.tables, self.figures, self.agreements = {}, {}, {}
        self.claims_differ = None

    @property
    def folder(self):
        """Where this run's files go."""
        return self.config.folder / self.notebook

    @property
    def published(self):
        """Where published results of the same notebook, data set and profile are, or None."""
        reference = self.config.reference_folder
        folder = None if reference is None else reference / self.notebook
        return folder if folder is not None and folder.is_dir() else None

    def table(self, name, rows, *, unseeded=None, one_measure=False):
        """Keep a table, and print in one line that does not change how it agrees with the published one.

        Numbers are rounded to six decimals. Seconds and memory differ between two equal runs: they belong
        into the columns of :data:`adathresh.experiments.core.costs.COSTS`, or to :meth:`timings`. For
        ``unseeded`` and ``one_measure`` see :func:`adathresh.experiments.core.agreement.agreement`.
        """
        text = as_csv(rows)
        # Read back as verifying reads it, so that types and rounding cannot differ.
        self.tables[name] = read_table(io.StringIO(text))
        self._write(f"{name}.csv", text)
        print(self._compare(name, unseeded, one_measure))

    def figure(self, name, figure):
        """Show and keep a figure, with what it shows and was made from above; equal figures give equal files.

        What it shows is also said in words, for those who cannot see it.
        """
        config = self.config
        made_from = f"{config.dataset}, {config.profile} profile, {counted(len(config.seed_list), 'seed')}"
        title = figure.get_suptitle() or name.replace("_", " ").capitalize()
        self.figures[name] = f"{title} ({made_from}). {described(figure)}".rstrip()
        figure.suptitle(f"{title}\n{made_from}", x=0.01, ha="left", fontsize=9, parse_math=False)
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=DPI, metadata={"Software": None})
        width = round(figure.get_figwidth() * SHOWN_DPI)
        plt.close(figure)
        display(Image(drawn.getvalue(), width=width, alt=self.figures[name]))
        if self.config.save:
            with whole_file(self.folder / f"{name}.png") as temporary:
                temporary.write_bytes(drawn.getvalue())
            self._write_record()

    def timings(self, rows):
        """Keep rows of :func:`adathresh.experiments.core.costs.timed`, which nothing is compared with."""
        self._write("timings.csv", as_csv(rows))

    def claims(self, claims):
        """Read the claims off the tables kept so far, and print how many come out as published.

        What is printed does not change from run to run; returned are the claims as a table to be shown.
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
        caption = "What the tables say"
        if len(table) > LONGEST_TABLE:
            caption += f": the first {LONGEST_TABLE} of {len(table)} claims, all of which are in claims.csv"
        return shown(table.head(LONGEST_TABLE), caption=caption)

    def _compare(self, name, unseeded, one_measure):
        """Return the line that says how a table agrees with the published one."""
        path = None if self.published is None else self.published / f"{name}.csv"
        if path is None or not path.is_file():
            return f"{name}: {NO_REFERENCE}"
        found = agreement(
            _without_costs(self.tables[name]),
            _without_costs(read_table(path)),
            unseeded=unseeded,
            one_measure=one_measure,
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
            "in_words": dict(sorted(self.figures.items())),
            "sha256": file_digests(self.folder),
        }
        agreements = {name: found._asdict() for name, found in sorted(self.agreements.items())}
        compared = {"tables": agreements, "n_claims": n_claims, "claims_differ": self.claims_differ}
        for name, content in ((RECORD, record), (AGREEMENT, compared)):
            with whole_file(self.folder / name) as temporary:
                temporary.write_text(
                    json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
                )


def file_digests(folder):
    """Return the sha256 of every file of a notebook's results by name, but of the records of the run."""
    paths = sorted(path for path in folder.iterdir() if path.name not in (RECORD, AGREEMENT))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def as_csv(rows):
    """Return rows as CSV text that is the same for equal results on every platform: six decimals."""
    return pd.DataFrame(rows).round(DECIMALS).to_csv(index=False, lineterminator="\n")


def read_table(source):
    """Read a table as it was written: a fingerprint stays text even where it looks like a number."""
    return pd.read_csv(source, dtype={"fingerprint": str}, keep_default_na=True, encoding="utf-8")


def read_tables(folder):
    """Read every table that the record in a notebook's results names."""
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return {name: read_table(folder / f"{name}.csv") for name in record["tables"]}


def table_row(config, ds, *, method, base, rule, mode, seed, metrics, split="test"):
    """Describe one evaluated prediction as a row of a table: the identifying columns, then the metrics.

    A rule is "inductive" if it was fitted before the evaluated rows were seen, "transductive" if on their
    unlabelled scores.
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


def study_row(config, ds, seed, *, split="dev", **columns):
    """Return a row of a table that compares no decision rules: the identifying columns, then the others.

    Tables call the validation rows "dev".
    """
    return {
        "dataset": config.dataset,
        "fingerprint": str(ds.fingerprint)[:16],
        "split": split,
        "seed": seed,
        **columns,
    }


def _without_costs(table):
    """Return a table without what differs between two equal runs."""
    return table.drop(columns=list(COSTS), errors="ignore")
