"""Kinds of people that attacks try to read: sex, and age above or below the middle."""

import pandas as pd

from personare.core.errors import DataError

__all__ = ["kinds_of_people"]


def kinds_of_people(table: pd.DataFrame, name: str, fewest: int) -> "pd.Series[str]":
    """Return the attribute of each recording as one of two kinds; missing stays missing.

    Args:
        table: Rows are recordings; ``subject``, ``sex``, ``age`` (years).
        name: ``sex`` or ``age``; ages become ``older`` and ``younger`` than the median person.
        fewest: Least people of each kind.

    Raises:
        DataError: Nobody's attribute is known, or one kind has too few people.

    Example:
        >>> people = pd.DataFrame({"subject": ["a", "b"], "age": [20, 60]})
        >>> kinds_of_people(people, "age", 1).tolist()
        ['younger', 'older']
    """
    if name not in table or table[name].isna().all():
        raise DataError(f"nobody's {name} is known")
    values = table[name]
    if name == "age":
        years = pd.to_numeric(values, errors="coerce")
        middle = years.groupby(table["subject"]).first().median()
        values = years.map(lambda a: "older" if a > middle else "younger", na_action="ignore")
    people = values.groupby(table["subject"]).first().value_counts()
    if len(people) < 2 or people.min() < fewest:
        there = ", ".join(f"{count} {kind}" for kind, count in people.items())
        raise DataError(f"{name} needs at least {fewest} people of two kinds, there are {there}")
    return values.astype(object)
