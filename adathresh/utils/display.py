"""Small tables: text in a terminal, HTML in a notebook."""

import html
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class Table:
    """A small table: ``print`` shows it as text, notebooks as HTML, with the same words and numbers.

    Numbers stand to the right; whatever HTML would read as markup is escaped.

    Examples
    --------
    >>> rows = [("fixed 0.5", 0.25), ("adaptive", 0.5334)]
    >>> Table([("rule", ""), ("macro-F1", ".3f")], rows, caption="Test rows")
    Test rows
    rule       macro-F1
    fixed 0.5     0.250
    adaptive      0.533
    """

    columns: Sequence[tuple[str, str]]
    """The name of each column, and the format of its numbers; an empty one where it holds text."""
    rows: Sequence[Sequence[object]]
    """The lines: a value for each column, or None for an empty cell."""
    caption: str = ""
    """What stands above the table."""

    def __repr__(self) -> str:
        lines = self._lines()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        sides = [">" if spec else "<" for _, spec in self.columns]
        texts = [
            "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True))
            for line in lines
        ]
        return "\n".join(text.rstrip() for text in ([self.caption] if self.caption else []) + texts)

    def _repr_html_(self) -> str:
        """Return the table as HTML, with the side of each cell, as notebooks have sides of their own."""
        sides = ["right" if spec else "left" for _, spec in self.columns]

        def line(cells, tag):
            """Return one line."""
            shown = (
                f'<{tag} style="text-align: {side}">{html.escape(cell)}</{tag}>'
                for cell, side in zip(cells, sides, strict=True)
            )
            return f"<tr>{''.join(shown)}</tr>\n"

        caption = f'<caption style="text-align: left">{html.escape(self.caption)}</caption>\n'
        head, *body = self._lines()
        return (
            f"<table>\n{caption if self.caption else ''}<thead>\n{line(head, 'th')}</thead>\n"
            f"<tbody>\n{''.join(line(cells, 'td') for cells in body)}</tbody>\n</table>"
        )

    def _lines(self):
        """Return the text of every cell, the names of the columns first."""
        specs = [spec for _, spec in self.columns]
        cells = [
            ["" if value is None else format(value, spec) for value, spec in zip(row, specs, strict=True)]
            for row in self.rows
        ]
        return [[name for name, _ in self.columns], *cells]
