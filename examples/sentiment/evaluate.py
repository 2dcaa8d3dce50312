"""Measure the saved model on the test part of the reviews."""

import csv
import json

import kept
from sklearn.metrics import accuracy_score, f1_score, log_loss

from reviews import read_params, read_reviews, split


def main():
    params = read_params()
    _, texts, _, labels = split(*read_reviews(), **params["split"])

    vectorizer, model = kept.load("vectorizer"), kept.load("model")
    probabilities = model.predict_proba(vectorizer.transform(texts))[:, 1]  # (n_test,)
    predicted = (probabilities > 0.5).astype(int)  # (n_test,)

    with open("metrics.json", "w", encoding="utf-8") as file:
        metrics = {
            "accuracy": accuracy_score(labels, predicted),
            "f1": f1_score(labels, predicted),
            "log_loss": log_loss(labels, probabilities),
        }
        json.dump(metrics, file, indent=2)
        file.write("\n")

    with open("predictions.tsv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(
            file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n"
        )
        writer.writerow(["label", "predicted", "probability", "text"])
        for row in zip(labels, predicted, probabilities.tolist(), texts):
            writer.writerow(row)


if __name__ == "__main__":
    main()
