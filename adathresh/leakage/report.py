"""The result of an audit: one finding for each check, and the report that shows them all."""

import dataclasses

import numpy as np

from adathresh.utils.display import Table

FOUND, CLEAN, NOT_CHECKED = "found", "clean", "not checked"
"""Possible results of a check."""

MAX_EVIDENCE = 10
"""How many rows of a finding are described; its ``rows`` numbers all of them."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """The result of one check.

    Examples
    --------
    >>> Finding("groups", CLEAN, "no group has rows on both sides of the split").to_dict()["n_rows"]
    0
    """

    check: str
    """Name of the check."""
    status: str
    """"found", "clean" or "not checked"."""
    message: str
    """What was found, or why nothing was looked for."""
    split: str | None = None
    """"train" or "test": where the affected rows are."""
    rows: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, dtype=int))
    """Numbers of all affected rows, rising."""
    evidence: tuple[dict, ...] = ()
    """Dicts that describe some of the rows, in JSON types."""

    def to_dict(self) -> dict:
        """Return the finding in JSON types.

        Returns
        -------
        dict
            Every field by its name, and ``n_rows``.

        Examples
        --------
        >>> Finding("groups", CLEAN, "no group has rows on both sides").to_dict()["status"]
        'clean'
        """
        return {
            "check": self.check,
            "status": self.status,
            "message": self.message,
            "split": self.split,
            "n_rows": len(self.rows),
            "rows": self.rows.tolist(),
            "evidence": [dict(entry) for entry in self.evidence],
        }


@dataclasses.dataclass(frozen=True)
class LeakageReport:
    """The findings of an audit; ``str(report)`` is a page to read, and notebooks show a table.

    Examples
    --------
    >>> print(LeakageReport((Finding("groups", NOT_CHECKED, "give groups_train and groups_test"),)))
    Leakage audit: 0 of 0 checks found something
      not checked  groups               give groups_train and groups_test
    """

    findings: tuple[Finding, ...]
    """One :class:`Finding` for every check."""

    @property
    def found(self) -> tuple[Finding, ...]:
        """Return the findings with leakage.

        Returns
        -------
        tuple of Finding
            Empty if nothing was found.

        Examples
        --------
        >>> LeakageReport((Finding("groups", CLEAN, "no group has rows on both sides"),)).found
        ()
        """
        return tuple(finding for finding in self.findings if finding.status == FOUND)

    def __getitem__(self, check):
        for finding in self.findings:
            if finding.check == check:
                return finding
        raise KeyError(f"{check!r} is none of {', '.join(finding.check for finding in self.findings)}")

    def __str__(self):
        lines = [f"Leakage audit: {self._headline()}"]
        for finding in self.findings:
            lines.append(f"  {finding.status:<11}  {finding.check:<19}  {finding.message}")
            lines += [f"{'':36}{_describe(entry)}" for entry in finding.evidence[:2]]
        return "\n".join(lines)

    def _repr_html_(self):
        columns = [("check", ""), ("status", ""), ("rows", "d"), ("message", "")]
        lines = [list(line.values()) for line in self.table()]
        return Table(columns, lines, f"Leakage audit: {self._headline()}")._repr_html_()

    def table(self) -> list[dict]:
        """Return the findings as the lines of a table.

        Returns
        -------
        list of dict
            ``check``, ``status``, ``rows`` (how many are affected) and ``message`` of every finding.

        Examples
        --------
        >>> LeakageReport((Finding("groups", CLEAN, "no group has rows on both sides"),)).table()[0]["rows"]
        0
        """
        return [
            {"check": f.check, "status": f.status, "rows": len(f.rows), "message": f.message}
            for f in self.findings
        ]

    def to_dict(self) -> dict:
        """Return the report in JSON types.

        Returns
        -------
        dict
            ``n_found``, the number of checks that found something, and ``findings``.

        Examples
        --------
        >>> LeakageReport((Finding("groups", CLEAN, "no group has rows on both sides"),)).to_dict()["n_found"]
        0
        """
        return {"n_found": len(self.found), "findings": [finding.to_dict() for finding in self.findings]}

    def _headline(self):
        """Return the result in one line."""
        n_checked = sum(finding.status != NOT_CHECKED for finding in self.findings)
        names = ", ".join(finding.check for finding in self.found)
        return f"{len(self.found)} of {n_checked} checks found something" + (f": {names}" if names else "")


def _describe(entry):
    """Return evidence on one line."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in entry.items())
