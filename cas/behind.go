package cas

// hashing hashes bytes in the order in which they are added, a few groups behind.
type hashing struct {
	queue chan hashed
	done  chan struct{}
	ended bool
}

// hashed is bytes that are in use until they are hashed.
type hashed struct {
	bytes []byte
	of    *decoded
}

func newHashing(h *Hasher) *hashing {
	b := &hashing{queue: make(chan hashed, workers), done: make(chan struct{})}
	go func() {
		defer close(b.done)
		for part := range b.queue {
			h.Write(part.bytes)
			if part.of != nil {
				part.of.release()
			}
		}
	}()
	return b
}

func (b *hashing) add(bytes []byte, of *decoded) {
	if of != nil {
		of.users.Add(1)
	}
	b.queue <- hashed{bytes, of}
}

// wait returns when everything is hashed. Nothing can be added any more.
func (b *hashing) wait() {
	if !b.ended {
		b.ended = true
		close(b.queue)
	}
	<-b.done
}
