package remote

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// Remote keeps files under names. See CheckName for what a name is.
//
// All methods are safe for concurrent use, from any number of machines. When ctx
// ends, a method returns soon, with an error that wraps ctx.Err(). No method
// retries on its own account, beyond what its client can't be kept from: Steady
// does. Errors are *Error, also those of the readers that Get returns.
//
// A Remote is not trusted: whoever reads verifies what was read. Put is the one
// that has to see to it that what arrives is what was sent.
type Remote interface {
	// Put keeps size bytes of body under name, and replaces what is there.
	//
	// Atomic: nobody sees a part of it. After an error, or when the process or the
	// connection dies, there is what was there before or all of the new, and never
	// anything else under that name. A body that fails, or ends before size bytes, is an
	// error; what it has beyond them is left out.
	//
	// Right: what arrived is what body gave. Where neither the transport (TLS, SSH)
	// nor a checksum of the protocol proves that, Put reads it back.
	//
	// Durable: when Put returns nil, the remote has said that it has the file.
	//
	// It may be repeated, also after an error that leaves open whether the file is
	// there. body is read by one goroutine or several, anywhere, also more than once.
	Put(ctx context.Context, name string, body io.ReaderAt, size int64) error

	// Get returns length bytes of the file from offset on; a negative length is
	// all that follows. The reader gives exactly these bytes and then io.EOF; if the
	// file ends before, or the connection does, an error. A file that is not there
	// is fs.ErrNotExist. A negative offset is an error, and so is one at or behind the
	// end of the file; but a length of 0 up to there is nothing, and so is all of an
	// empty file. What is wrong is said by Get or by the reader. ctx is that of the reader
	// too. The caller must close the reader. See Body.
	Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error)

	// Stat returns the size of the file in bytes, or fs.ErrNotExist. A file that Put
	// has reported as kept is there for everybody from then on.
	Stat(ctx context.Context, name string) (size int64, err error)

	// List calls each for every file whose name begins with prefix (see CheckPrefix), in any
	// order, one at a time, and returns the first error of it. What is put or deleted
	// meanwhile is among them or not. What is not named as CheckName says is left
	// out, and so is anything unfinished. A Remote that can't say is ErrUnsupported.
	List(ctx context.Context, prefix string, each func(Info) error) error

	// Delete removes the file; one that is not there is fine. A Remote that can't
	// is ErrUnsupported.
	Delete(ctx context.Context, name string) error

	// Close lets go of connections. Nothing else is called after it.
	Close() error
}

// Info is what List says of a file.
type Info struct {
	Name string
	// Size is in bytes, and -1 where the Remote does not say it without asking for each.
	Size int64
}

// CheckName reports whether name can be that of a file: words of a-z, 0-9, ".",
// "_" and "-" with "/" between them, none of which begins with "." or "-" or ends in
// "."; at most 100 bytes. All kinds of remotes can keep such names as they are.
func CheckName(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("name of %d bytes, want at most %d", len(name), maxName)
	}
	for word := range strings.SplitSeq(name, "/") {
		if word == "" || word[0] == '.' || word[0] == '-' || word[len(word)-1] == '.' || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
			return fmt.Errorf("%q is no name of a file", name)
		}
	}
	return nil
}

// CheckPrefix reports whether prefix can be that of a List: it is empty, or a name
// and "/".
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	folder, ok := strings.CutSuffix(prefix, "/")
	if !ok {
		return fmt.Errorf("prefix %q does not end in \"/\"", prefix)
	}
	return CheckName(folder)
}

const maxName = 100
