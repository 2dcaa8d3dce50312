package remote_test

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode"

	"github.com/kept-dev/kept/cas/remote"
)

var goodURLs = []struct {
	raw  string
	want remote.URL
	text string // what String says, where that is something else
}{
	{"s3://bucket", remote.URL{Scheme: "s3", Host: "bucket"}, ""},
	{"s3://bucket/", remote.URL{Scheme: "s3", Host: "bucket"}, "s3://bucket"},
	{"s3://team-models/a/b", remote.URL{Scheme: "s3", Host: "team-models", Path: "a/b"}, ""},
	{"S3://bucket//a/", remote.URL{Scheme: "s3", Host: "bucket", Path: "a"}, "s3://bucket/a"},
	{"gs://bucket/a b", remote.URL{Scheme: "gs", Host: "bucket", Path: "a b"}, "gs://bucket/a%20b"},
	{"az://account/container", remote.URL{Scheme: "az", Host: "account", Path: "container"}, ""},
	{"sftp://ann@host:2222/srv/kept", remote.URL{Scheme: "sftp", User: "ann", Host: "host:2222", Path: "srv/kept"}, ""},
	{"sftp://ann%40corp@host/x", remote.URL{Scheme: "sftp", User: "ann@corp", Host: "host", Path: "x"}, ""},
	{"sftp://host:/x", remote.URL{Scheme: "sftp", Host: "host", Path: "x"}, "sftp://host/x"},
	{"https://[::1]:8443/a", remote.URL{Scheme: "https", Host: "[::1]:8443", Path: "a"}, ""},
	{"https://host/a%3Fb%25", remote.URL{Scheme: "https", Host: "host", Path: "a?b%"}, ""},
	{"https://host/ä", remote.URL{Scheme: "https", Host: "host", Path: "ä"}, "https://host/%C3%A4"},
	{"oci://ghcr.example/team/models", remote.URL{Scheme: "oci", Host: "ghcr.example", Path: "team/models"}, ""},
	{"data", remote.URL{Scheme: "file", Path: "data"}, ""},
	{"../data/", remote.URL{Scheme: "file", Path: "../data"}, "../data"},
	{".", remote.URL{Scheme: "file", Path: "."}, ""},
	{"./-data", remote.URL{Scheme: "file", Path: "-data"}, ""},
	{"./s3:data", remote.URL{Scheme: "file", Path: "s3:data"}, ""},
	{"a b/c#d?e", remote.URL{Scheme: "file", Path: "a b/c#d?e"}, ""},
}

var unixURLs = []struct{ raw, path, text string }{
	{"/srv/kept", "/srv/kept", "file:///srv/kept"},
	{"/srv/../kept/", "/kept", "file:///kept"},
	{"file:///srv/kept", "/srv/kept", "file:///srv/kept"},
	{"FILE:///srv/a%20b%3f", "/srv/a b?", "file:///srv/a%20b%3F"},
	{"/a#b", "/a#b", "file:///a%23b"},
	{`C:\x`, `C:\x`, `C:\x`},
	{`\\server\share`, `\\server\share`, `\\server\share`},
}

var windowsURLs = []struct{ raw, path, text string }{
	{`C:\kept`, `C:\kept`, "file:///C:/kept"},
	{`C:/a b`, `C:\a b`, "file:///C:/a%20b"},
	{"file:///C:/kept", `C:\kept`, "file:///C:/kept"},
	{`\\server\share\kept`, `\\server\share\kept`, "file:////server/share/kept"},
	{"file:////server/share/kept", `\\server\share\kept`, "file:////server/share/kept"},
	{`a\b`, `a\b`, "a/b"},
}

func TestParseURL(t *testing.T) {
	for _, c := range goodURLs {
		c.want.Path = local(c.want)
		if c.text == "" {
			c.text = c.raw
		}
		check(t, c.raw, c.want, c.text)
	}
	paths := unixURLs
	if runtime.GOOS == "windows" {
		paths = windowsURLs
	}
	for _, c := range paths {
		check(t, c.raw, remote.URL{Scheme: "file", Path: c.path}, c.text)
	}
}

func local(u remote.URL) string {
	if u.Scheme == "file" {
		return filepath.FromSlash(u.Path)
	}
	return u.Path
}

func check(t *testing.T, raw string, want remote.URL, text string) {
	t.Helper()
	u, err := remote.ParseURL(raw)
	if err != nil {
		t.Error(err)
		return
	}
	if *u != want {
		t.Errorf("%q is %#v, want %#v", raw, *u, want)
	}
	if u.String() != text {
		t.Errorf("%q is written %q, want %q", raw, u, text)
	}
	again, err := remote.ParseURL(u.String())
	if err != nil || *again != *u {
		t.Errorf("%q is written %q, which is %#v, %v", raw, u, again, err)
	}
}

var badURLs = []string{
	"", "-x", "--option", "-oProxyCommand=x://y",
	"s3://", "s3:///bucket", "s3:bucket", "ann@host:path", "host:path/x", "https:host",
	"s3://-bucket", "sftp://-oProxyCommand=x/y", "sftp://-oX@host/y", "sftp://%2doX@host/y",
	"s3://bucket/a/../b", "s3://bucket/..", "s3://bucket/./a", "s3://bucket/a//b", "s3://bucket/%2e%2e/a", "s3://bucket/a%2f%2fb", `s3://bucket/a\b`,
	"s3://bucket?region=x", "s3://bucket/a?", "s3://bucket#x", "s3://bucket/#",
	"s3://buc ket", "s3://buc%20ket/", "s3://bücket", "s3://a;b", "s3://$(x)/", "s3://a`b", "https://host:port/", "https://:80/", "s3://:a:/b", "//s3://bucket/a", "s3://a:b:/c",
	"sftp://a b@host", "sftp://a;b@host", "sftp://$x@host", "sftp://a%20b@host",
	"a\nb", "s3://bucket/a\x00", "s3://bucket/a%00b", "s3://bucket/a%0ab", "s3://bucket/%1b[1m", "s3://bucket/\u202ex", "s3://bucket/%e2%80%ae", "a\xffb", "s3://bucket/%ff", "\u2066x",
	"file://host/path", "file://", "file://x", "file:///a?b", "file:///a#b", "file:///a%00b", "file:///a%zz", "://x", "1s3://x",
}

func TestParseURLRefuses(t *testing.T) {
	for _, raw := range badURLs {
		u, err := remote.ParseURL(raw)
		if err == nil {
			t.Errorf("%q is taken for %#v", raw, *u)
			continue
		}
		if strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Errorf("%q: the error has a control character: %q", raw, err)
		}
	}
}

// secrets are in URLs that are refused, and never in the error.
var secrets = []string{
	"https://ann:hunter2@host/x", "https://:hunter2@host/x", "https://ann:hunter2@host:x/y", "https://ann:hunt%zzer2@host/", "https://ann:@hunter2@host/",
	"s3://key:hunter2@bucket", "az://account/container?sig=hunter2", "https://host/#hunter2", "https://host/?a=b#hunter2", "https://ann:hunter2@/x", "https://ann:hun ter2@host/ hunter2@x",
}

func TestParseURLKeepsSecrets(t *testing.T) {
	for _, raw := range secrets {
		_, err := remote.ParseURL(raw)
		if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "hunt") {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, c := range goodURLs {
		f.Add(c.raw)
	}
	for _, c := range unixURLs {
		f.Add(c.raw)
	}
	for _, c := range windowsURLs {
		f.Add(c.raw)
	}
	for _, raw := range append(badURLs, secrets...) {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := remote.ParseURL(raw)
		if err != nil {
			return
		}
		text := u.String()
		for _, part := range []string{text, u.Scheme, u.User, u.Host, u.Path} {
			if strings.ContainsFunc(part, unicode.IsControl) || strings.ToValidUTF8(part, "") != part {
				t.Errorf("%q has a control character in %q", raw, part)
			}
		}
		if strings.HasPrefix(u.User, "-") || strings.HasPrefix(u.Host, "-") || strings.HasPrefix(text, "-") || strings.Contains(u.User, ":") {
			t.Errorf("%q is taken for %#v", raw, *u)
		}
		again, err := remote.ParseURL(text)
		if err != nil || *again != *u {
			t.Errorf("%q is %#v, written %q, which is %#v, %v", raw, *u, text, again, err)
		}
	})
}
