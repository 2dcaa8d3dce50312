// Package spectest holds the store to its specification: a reader of stores that
// was written from docs/spec/store.md alone, and shares no code with the store.
// What it can't read either breaks the specification or is missing there.
//
// The reader is in reader_test.go and methods_test.go. It is short and slow, and
// a good place to begin for somebody who writes one in another language.
package spectest
