package remote

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// piece is the most that moves at once under a limit of bytes per second.
const piece = 64 << 10

// newThrottle lets through so many bytes per second; nil is all.
func newThrottle(perSecond int64) *rate.Limiter {
	if perSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), int(min(max(perSecond/4, 1), piece)))
}

// part is how many of n bytes may move at once.
func part(l *rate.Limiter, n int) int {
	if l == nil {
		return n
	}
	return min(n, l.Burst())
}

// pass waits until n bytes may move, at most what part says.
func pass(ctx context.Context, l *rate.Limiter, n int) error {
	if l == nil || n == 0 {
		return nil
	}
	return sleep(ctx, l.ReserveN(time.Now(), n).Delay())
}
