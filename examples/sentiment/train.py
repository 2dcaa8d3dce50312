"""Fit the vectorizer and a logistic regression on the train part of the reviews."""

import kept
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

from features import build_vectorizer
from reviews import read_params, read_reviews, split


def fit(X, y, C, epochs, learning_rate, seed):
    """Fit by stochastic gradient descent, logging the train loss after each epoch.

    X: sparse (n, n_terms) TF-IDF weights; y: n labels, 0 or 1.
    The penalty is scikit-learn's LogisticRegression(C=C) divided by n.
    """
    model = SGDClassifier(
        loss="log_loss",
        alpha=1 / (C * len(y)),
        learning_rate="invscaling",
        eta0=learning_rate,
        power_t=0.25,
        random_state=seed,
    )
    for epoch in range(epochs):
        model.partial_fit(X, y, classes=[0, 1])
        kept.log_metric("loss", log_loss(y, model.predict_proba(X)), step=epoch)
    return model


def main():
    params = read_params()
    train_texts, _, train_labels, _ = split(*read_reviews(), **params["split"])

    vectorizer = build_vectorizer(**params["tfidf"])
    X = vectorizer.fit_transform(train_texts)  # (n_train, n_terms)
    model = fit(X, train_labels, **params["model"])
    kept.log_metric("terms", X.shape[1])

    kept.save(vectorizer, "vectorizer")
    kept.save(model, "model")


if __name__ == "__main__":
    main()
