"""Link words of the glossary wherever they appear: in pages, docstrings and notebooks.

In each section the first occurrence of a term becomes a link. Titles, code and what is a link already stay
as they are, and so does the glossary itself.
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

GLOSSARY = "docs/glossary"
UNTOUCHED = (nodes.literal, nodes.literal_block, nodes.reference, nodes.title, nodes.term, nodes.raw)
UNTOUCHED += (addnodes.desc_signature, addnodes.pending_xref, nodes.math, nodes.math_block, nodes.rubric)


class GlossaryLinks(SphinxPostTransform):
    """Put links to the glossary into the text of a page."""

    default_priority = 5

    def run(self, **kwargs):
        """Link the first occurrence of every term in each section of the page."""
        terms = dict(self._terms())
        if self.env.docname == GLOSSARY or not terms:
            return
        longest_first = sorted(terms, key=len, reverse=True)
        words = "|".join(map(re.escape, longest_first))
        pattern = re.compile(rf"(?<![\w/*-])({words})s?(?![\w/*-])", re.IGNORECASE)
        done = {}
        for text in list(self.document.findall(nodes.Text)):
            if any(isinstance(parent, UNTOUCHED) for parent in _parents(text)):
                continue
            section = next((p for p in _parents(text) if isinstance(p, nodes.section)), None)
            self._link(text, pattern, terms, done.setdefault(id(section), set()))

    def _terms(self):
        """Yield the terms of the glossary and the anchors that they have there."""
        for _, name, kind, docname, node_id, _ in self.env.domains["std"].get_objects():
            if kind == "term" and docname == GLOSSARY and len(name) > 1:  # a Greek letter is in every formula
                yield name.lower(), node_id

    def _link(self, text, pattern, terms, seen):
        """Put links in the place of terms that the section has not shown yet."""
        parts, end = [], 0
        for match in pattern.finditer(text.astext()):
            term = match[1].lower()
            if term in seen:
                continue
            seen.add(term)
            parts.append(nodes.Text(text.astext()[end : match.start()]))
            reference = nodes.reference("", "", nodes.Text(match[0]), internal=True)
            target = self.app.builder.get_relative_uri(self.env.docname, GLOSSARY)
            reference["refuri"] = f"{target}#{terms[term]}"
            parts.append(reference)
            end = match.end()
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(text.astext()[end:])])


def _parents(node):
    """Yield what a node stands in, from the inside outwards."""
    while node.parent is not None:
        node = node.parent
        yield node


def setup(app):
    """Add the transform to Sphinx."""
    app.add_post_transform(GlossaryLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
