package metrics

import (
	"slices"
	"strings"
	"unicode"
)

// Words of the names of metrics. Those of a metric that may be meant either way,
// such as "entropy", "time" or "score", are left out: a wrong arrow is worse than none.
var (
	higherWords = []string{
		"accuracy", "acc", "auc", "auroc", "auprc", "rocauc", "prauc", "ap", "map", "precision", "recall", "f1", "fbeta", "fscore",
		"f1score", "sensitivity", "specificity", "r2", "bleu", "rouge", "meteor", "iou", "miou", "jaccard", "dice", "mcc", "kappa",
		"ndcg", "mrr", "hits", "psnr", "ssim", "pearson", "spearman", "silhouette", "throughput", "reward", "likelihood",
	}
	lowerWords = []string{
		"loss", "error", "err", "errors", "mae", "mse", "rmse", "rmsle", "msle", "mape", "smape", "wape", "mase", "medae", "logloss",
		"crossentropy", "nll", "perplexity", "ppl", "wer", "cer", "eer", "fid", "brier", "ece", "hinge", "deviance", "regret",
		"latency", "duration", "runtime",
	}
	// neutralWords make a number one about a metric: the spread of the loss, the
	// weight of a term, how many rows a recall was measured on.
	neutralWords = []string{"scale", "weight", "weights", "coef", "std", "stddev", "stdev", "var", "variance", "count", "support", "threshold"}
)

// Guess returns the direction that the well-known name of a metric implies, and
// Unknown for every other name. In a dotted key the last part that says
// something counts: "loss.valid.accuracy" is an accuracy. A part in which "neg"
// stands before the name means the reverse, as scikit-learn has it:
// "neg_log_loss".
func Guess(key string) Direction {
	parts := strings.Split(key, ".")
	guess := Unknown
	for _, part := range slices.Backward(parts) {
		words := nameWords(part)
		if slices.ContainsFunc(words, func(w string) bool { return slices.Contains(neutralWords, w) }) {
			return Unknown
		}
		if guess == Unknown {
			guess = guessWords(words)
		}
	}
	return guess
}

// guessWords is Guess for one part. A loss stays one whatever it is a loss of:
// "dice_loss".
func guessWords(words []string) Direction {
	pairs := words
	for i := 1; i < len(words); i++ {
		pairs = append(pairs[:len(pairs):len(pairs)], words[i-1]+words[i])
	}
	has := func(known []string) bool {
		return slices.ContainsFunc(pairs, func(w string) bool {
			return slices.Contains(known, w) || slices.Contains(known, strings.TrimRight(w, "0123456789"))
		})
	}
	reverse := slices.Contains(words, "neg") || slices.Contains(words, "negative")
	switch lower, higher := has(lowerWords), has(higherWords); {
	case lower && reverse:
		return Higher
	case lower, higher && reverse:
		return Lower
	case higher:
		return Higher
	}
	return Unknown
}

// nameWords cuts a name at everything that is no letter or digit and where upper
// case begins, and returns the words in lower case.
func nameWords(name string) []string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			r = ' '
		case unicode.IsUpper(r) && lower:
			b.WriteByte(' ')
		}
		lower = unicode.IsLower(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.Fields(b.String())
}
