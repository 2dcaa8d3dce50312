package cas_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/kept-dev/kept/cas"
)

// background is the context of what runs outside a test.
var background = context.Background()

func TestErrorsAreToldApart(t *testing.T) {
	wrapped := fmt.Errorf("store object: %w", &fs.PathError{Op: "write", Path: "x", Err: fs.ErrPermission})
	if !cas.IsReadOnly(wrapped) || cas.IsDiskFull(wrapped) {
		t.Errorf("%v is not told to be about permission", wrapped)
	}
	for _, err := range []error{nil, errors.New("other"), fs.ErrNotExist, &cas.MissingError{}} {
		if cas.IsDiskFull(err) || cas.IsReadOnly(err) {
			t.Errorf("%v is told to be what it is not", err)
		}
	}
}
