"""Small tables: text in a terminal, HTML in a notebook."""

import html
from collections.abc import Collection, Sequence
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
    bold: Collection[tuple[int, int]] = ()
    """The cells, by line and column from 0, that stand in bold in HTML, such as the best of each column."""

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

        def line(cells, tag, bold=()):
            """Return one line, the columns ``bold`` in bold."""
            texts = [html.escape(cell) for cell in cells]
            shown = (
                f'<{tag} style="text-align: {side}">{f"<b>{text}</b>" if i in bold else text}</{tag}>'
                for i, (text, side) in enumerate(zip(texts, sides, strict=True))
            )
            return f"<tr>{''.join(shown)}</tr>\n"

        def body_lines(lines):
            """Yield the lines below the head."""
            for i, cells in enumerate(lines):
                yield line(cells, "td", {column for row, column in self.bold if row == i})

        caption = f'<caption style="text-align: left">{html.escape(self.caption)}</caption>\n'
        head, *body = self._lines()
        return (
            f"<table>\n{caption if self.caption else ''}<thead>\n{line(head, 'th')}</thead>\n"
            f"<tbody>\n{''.join(body_lines(body))}</tbody>\n</table>"
        )

    def _lines(self):
        """Return the text of every cell, the names of the columns first."""
        specs = [spec for _, spec in self.columns]
        cells = [
            ["" if value is None else format(value, spec) for value, spec in zip(row, specs, strict=True)]
            for row in self.rows
        ]
        return [[name for name, _ in self.columns], *cells]
