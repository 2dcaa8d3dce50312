"""Predict whether reviews are good (1) or bad (0), with the probability of good.

Called with reviews, or with a file of them ("-" is standard input), one review per line:

    python predict.py "Lovely room, rude staff." "Never again."
    python predict.py --file reviews.txt
"""

import argparse
import sys

import kept


def predict(texts):
    """Return (labels, probabilities), two lists of length n."""
    vectorizer, model = kept.load("vectorizer"), kept.load("model")
    probabilities = model.predict_proba(vectorizer.transform(texts))[:, 1].tolist()  # (n,)
    return [int(p > 0.5) for p in probabilities], probabilities


def read_texts(path):
    if path == "-":
        return sys.stdin.read().splitlines()
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def main():
    parser = argparse.ArgumentParser(description="predict the sentiment of reviews")
    parser.add_argument("text", nargs="*", help="a review")
    parser.add_argument("--file", help='a file with one review per line, or "-"')
    args = parser.parse_args()
    texts = args.text + (read_texts(args.file) if args.file else [])
    if not texts:
        parser.error("give a review or --file")
    for text, label, probability in zip(texts, *predict(texts)):
        # repr is the shortest text that reads back as the same float: equal lines are equal bits.
        print(label, repr(probability), text, sep="\t")


if __name__ == "__main__":
    main()
