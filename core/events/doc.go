// Package events reads and writes the event file of a run, in which a program
// and its processes log parameters, metrics, artifacts and what they imported.
//
// The format is specified in docs/spec/runs.md, so that any language can log.
// An event is one JSON object on one line, appended by one write: what a killed
// program has logged is on record, and processes share the file without a lock.
//
//	err := events.Append(runDir, events.Metric{Name: "loss", Value: 0.53, Step: &step})
//	log, err := events.Read(filepath.Join(runDir, events.File))
//	log.Params["lr"]                  // one value per run
//	log.Metrics["loss"]               // the series, as logged
//	value, ok := log.Last("loss")     // what the lock calls the metric
package events

// File is the name of the event file in a run's folder.
const File = "events.jsonl"

const (
	// MaxLine is the longest line in bytes, its LF included.
	MaxLine = 1 << 20
	// MaxFile is the size in bytes up to which an event file is read.
	MaxFile = 1 << 30
	// MaxName is the longest name of a param, metric or artifact in bytes.
	MaxName = 250
)
