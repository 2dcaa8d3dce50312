"""The labelled reviews, their split into train and test, and the parameters."""

import csv
import sys

from sklearn.model_selection import train_test_split

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_params(path="params.toml"):
    """Return the parameters as nested dicts, one per TOML table."""
    with open(path, "rb") as file:
        return tomllib.load(file)


def read_reviews(path="data/reviews.tsv"):
    """Return (texts, labels), two lists of length n; a label is 0 (bad) or 1 (good)."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [text for text, _ in rows], [int(label) for _, label in rows]


def split(texts, labels, test_share, seed):
    """Return (train_texts, test_texts, train_labels, test_labels).

    Both parts keep the balance of the labels. The same arguments give the same parts, so
    train.py and evaluate.py can each call this and never see each other's reviews.
    """
    return train_test_split(texts, labels, test_size=test_share, random_state=seed, stratify=labels)
