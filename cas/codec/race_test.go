//go:build race

package codec

const raceDetector = true // which makes sync.Pool forget at random
