"""The old place of :class:`adathresh.models.BagOfWords`."""

from adathresh.models.words import BagOfWords

__all__ = ["BagOfWords"]
