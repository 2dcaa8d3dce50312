"""From a review's text to a row of TF-IDF weights.

The saved vectorizer refers to `terms` by name and not by value: this file is part of what a
prediction depends on, which is why kept.toml lists it as code of both stages.
"""

import re
from functools import partial

from sklearn.feature_extraction.text import TfidfVectorizer

TOKEN = re.compile(r"[a-z]+|[.,;:!?]")
NEGATIONS = {"not", "no", "never", "nothing", "nobody", "none", "neither", "without"}


def words(text, negation):
    """Return the lower-case words of text, contractions split, digits and punctuation dropped.

    With negation, words between a negation and the next punctuation mark get the prefix
    "not_" (Das and Chen, 2001), so that "good" and "not good" share no word.
    """
    text = text.lower().replace("’", "'")
    text = text.replace("can't", "can not").replace("n't", " not")
    found, negated = [], False
    for token in TOKEN.findall(text):
        if not token.isalpha():
            negated = False
            continue
        found.append("not_" + token if negated else token)
        if negation and token in NEGATIONS:
            negated = True
    return found


def terms(text, ngram_max, negation):
    """Return all n-grams of 1 to ngram_max neighbouring words."""
    w = words(text, negation)
    return [" ".join(w[i : i + n]) for n in range(1, ngram_max + 1) for i in range(len(w) - n + 1)]


def build_vectorizer(ngram_max, min_df, negation):
    """Return an unfitted vectorizer: n texts to a sparse (n, n_terms) matrix, rows of L2 norm 1."""
    # An analyzer of our own instead of ngram_range and preprocessor: with those, scikit-learn
    # keeps the memory address of the stop-word list (None too) in the vectorizer, and no two
    # runs would pickle to the same bytes.
    return TfidfVectorizer(
        analyzer=partial(terms, ngram_max=ngram_max, negation=negation),
        min_df=min_df,
        sublinear_tf=True,
    )
