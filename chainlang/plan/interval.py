"""Intervals of non-negative integers, for numbers that are known within bounds."""

from __future__ import annotations

from fractions import Fraction

from attrs import frozen


@frozen
class Range:
    """An interval with inclusive bounds; `most` is None if there is no upper bound.

    >>> str(Range(2, 5) + Range(1, 1)), str(Range(1, None))
    ('3 to 6', '1 or more')
    """

    least: int = 0
    most: int | None = 0

    @staticmethod
    def of(number: int) -> Range:
        """Return the interval of a single number."""
        return Range(number, number)

    def __add__(self, other: Range) -> Range:
        unknown = self.most is None or other.most is None
        return Range(
            self.least + other.least, None if unknown else (self.most or 0) + (other.most or 0)
        )

    def __mul__(self, other: Range) -> Range:
        most = None if None in (self.most, other.most) else (self.most or 0) * (other.most or 0)
        return Range(self.least * other.least, 0 if 0 in (self.most, other.most) else most)

    def __or__(self, other: Range) -> Range:
        """Return the smallest interval that contains both."""
        unknown = self.most is None or other.most is None
        most = None if unknown else max(self.most or 0, other.most or 0)
        return Range(min(self.least, other.least), most)

    def scaled(self, share: Fraction) -> Range:
        """Return the interval of a number that is so many times this one, in whole numbers."""
        return Range(
            round(self.least * share), None if self.most is None else round(self.most * share)
        )

    @property
    def possible(self) -> Range:
        """The interval extended to 0."""
        return Range(0, self.most)

    def beside(self, other: Range) -> Range:
        """Return the interval of the maximum of two numbers."""
        return Range(max(self.least, other.least), (self | other).most)

    def __str__(self) -> str:
        if self.most is None:
            return f"{self.least:,} or more"
        return f"{self.least:,}" + (f" to {self.most:,}" if self.most > self.least else "")


NONE, ONE, ANY = Range(), Range.of(1), Range(0, None)
