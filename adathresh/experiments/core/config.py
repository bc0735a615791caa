"""What one run of the notebooks is: data set, profile, seeds, and where its results go."""

import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from adathresh.utils.suggest import did_you_mean


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The numbers in which ``--profile quick`` and ``--profile full`` differ."""

    n_seeds: int
    """Repetitions of everything that training makes random."""
    max_epochs: int
    """Passes over the training rows at most; early stopping on the validation rows usually ends sooner."""
    patience: int
    """Epochs without a better score of the validation rows after which training stops."""
    hidden_layers: tuple[int, ...]
    """Widths of the network's hidden layers."""
    learning_rate: float
    """Step size of the network's optimiser."""
    batch_size: int
    """Training rows per step."""
    top_scores: int
    """Scores kept for each row."""
    ablation_rows: int
    """Training rows used by the ablations and the leakage audit at most."""
    released_epochs: int
    """Epochs of the released protocol."""
    long_epochs: int
    """Epochs of its long run; as many as ``released_epochs`` is the same run."""
    n_bootstrap: int
    """Draws of the paired bootstrap over test rows."""
    network_labels: int
    """Labels up to which the network is a base model, which takes four trainings of it."""
    first_words: int
    """Words of a text's beginning on which a linear model of their own is cross-fitted, too; 0 for none."""
    text_tokens: int
    """Tokens of a text that a transformer reads."""
    tuning_steps: int
    """Steps of a fine-tuning at most, of 32 texts each; three epochs usually end before the full profile's.

    0: no transformer is fine-tuned, as a few steps would be no rival.
    """


PROFILES = {
    "quick": Profile(
        n_seeds=1,
        max_epochs=12,
        patience=3,
        hidden_layers=(512,),
        learning_rate=3e-3,
        batch_size=128,
        top_scores=100,
        ablation_rows=4_000,
        released_epochs=20,
        long_epochs=20,
        n_bootstrap=1_000,
        network_labels=2_000,
        first_words=0,
        text_tokens=0,
        tuning_steps=0,
    ),
    "full": Profile(
        n_seeds=3,
        max_epochs=20,
        patience=5,
        hidden_layers=(512,),
        learning_rate=3e-3,
        batch_size=128,
        top_scores=100,
        ablation_rows=4_000,
        released_epochs=40,
        long_epochs=400,
        n_bootstrap=10_000,
        network_labels=10_000,
        first_words=30,
        text_tokens=256,
        tuning_steps=5_000,
    ),
}


def repository_root():
    """Find the clone that this package is run from; None for a package installed without one."""
    root = Path(__file__).resolve().parents[3]
    return root if (root / "pyproject.toml").is_file() and (root / "notebooks").is_dir() else None


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run of the notebooks, checked when it is made."""

    dataset: str = "pyapi"
    """Name of the data set, as in :func:`adathresh.datasets.load_dataset`."""
    data_dir: str | None = None
    """Folder that holds the data sets; None: the default one."""
    profile: str = "quick"
    """Which of :data:`PROFILES` the numbers come from, "quick" or "full"."""
    seeds: int | None = None
    """Repetitions of everything random; None: the profile's number."""
    random_state: int = 0
    """The first seed; the others follow it."""
    out: str | None = None
    """Folder for results.

    None: ``reproduced/<dataset>/`` (``reproduced/<dataset>/full/`` for the full profile) in the clone that
    the package is run from, or in the working directory where there is none.
    """
    save: bool = False
    """Whether tables and figures are written.

    Only ``adathresh reproduce`` sets it, so that reading or testing a notebook never changes results.
    """

    def __post_init__(self):
        for name, optional in (("dataset", False), ("profile", False), ("data_dir", True), ("out", True)):
            value = getattr(self, name)
            if not isinstance(value, str) and not (optional and value is None):
                raise TypeError(f"{name} must be a string{' or None' if optional else ''}; got {value!r}.")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.dataset):
            raise ValueError(
                f"dataset must be the name of a data set, such as 'pyapi'; got {self.dataset!r}. "
                "A folder of data sets goes into data_dir."
            )
        if self.profile not in PROFILES:
            meant = did_you_mean(self.profile, PROFILES)
            raise ValueError(f"profile must be one of {', '.join(PROFILES)}; got {self.profile!r}.{meant}")
        if self.seeds is not None:
            _check_integer("seeds", self.seeds, at_least=1)
        _check_integer("random_state", self.random_state, at_least=0)
        if not isinstance(self.save, bool):
            raise TypeError(f"save must be True or False; got {self.save!r}.")

    @classmethod
    def from_notebook(cls, namespace):
        """Build the configuration from ``globals()`` right after a notebook's parameters cell.

        Every name in lower case that holds a text, a number, True, False or None is taken for a parameter;
        one that is no field, such as a misspelt one, is an error here, where papermill only warns.
        """
        given = {
            name: value
            for name, value in namespace.items()
            if name.islower() and name[0] != "_" and isinstance(value, str | int | float | None)
        }
        names = [field.name for field in fields(cls)]
        for name in given:
            if name not in names:
                known = ", ".join(names)
                raise TypeError(
                    f"{name!r} is no parameter of a notebook ({known}).{did_you_mean(name, names)}"
                )
        return cls(**given)

    @property
    def numbers(self):
        """The numbers of the chosen profile."""
        return PROFILES[self.profile]

    @property
    def seed_list(self):
        """The seeds of this run: ``random_state`` and the numbers that follow it, one a repetition."""
        n_seeds = self.numbers.n_seeds if self.seeds is None else self.seeds
        return tuple(range(self.random_state, self.random_state + n_seeds))

    @property
    def folder(self):
        """Where this run's tables and figures go; the folder need not be there yet."""
        if self.out is not None:
            return Path(self.out).expanduser().absolute()
        return (repository_root() or Path.cwd()) / "reproduced" / self._place

    @property
    def reference_folder(self):
        """Where the published results are, whatever ``out`` is; None where there is no clone."""
        root = repository_root()
        return root / "results" / self._place if root else None

    @property
    def _place(self):
        """Where this data set and profile lie inside a folder of results."""
        return Path(self.dataset, *(["full"] if self.profile == "full" else []))

    def to_dict(self):
        """Return what determines the results, for ``run.json``.

        Folders are left out: they belong to one machine, and the fingerprint says which data were read.
        """
        return {
            "dataset": self.dataset,
            "profile": self.profile,
            "random_state": self.random_state,
            "seeds": list(self.seed_list),
            "numbers": {**asdict(self.numbers), "hidden_layers": list(self.numbers.hidden_layers)},
        }

    def to_parameters(self):
        """Return the values of a notebook's ``parameters`` cell, by name of the field."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _check_integer(name, value, *, at_least):
    """Raise unless value is a whole number of at least the given size."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number; got {value!r}.")
    if value < at_least:
        raise ValueError(f"{name} must be at least {at_least}; got {value}.")
