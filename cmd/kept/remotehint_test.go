package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/core"
)

// TestHintCredentials: what is typed to log in fits the place that did not let in.
func TestHintCredentials(t *testing.T) {
	const keys = "export AWS_ACCESS_KEY_ID=KEY AWS_SECRET_ACCESS_KEY=SECRET"
	elsewhere := remote.Settings{"endpoint": "https://minio.example.com"}
	for _, c := range []struct {
		url  string
		s    remote.Settings
		env  map[string]string
		want string
	}{
		{"s3://b", nil, nil, "aws sts get-caller-identity"},
		{"s3://b", remote.Settings{"profile": "a b"}, nil, "aws sts get-caller-identity --profile 'a b'"},
		{"s3://b", nil, map[string]string{"AWS_PROFILE": "team"}, "aws sts get-caller-identity --profile team"},
		{"s3://b", nil, map[string]string{"AWS_PROFILE": "team", "AWS_ACCESS_KEY_ID": "x"}, "aws sts get-caller-identity"},
		{"s3://b", elsewhere, nil, keys},
		{"s3://b", elsewhere, map[string]string{"AWS_PROFILE": "team", "AWS_ACCESS_KEY_ID": "x"}, keys},
		{"s3://b", nil, map[string]string{"AWS_ENDPOINT_URL_S3": "https://minio.example.com"}, keys},
		{"s3://b", nil, map[string]string{"AWS_ENDPOINT_URL": "https://minio.example.com"}, keys},
		{"s3://b", remote.Settings{"endpoint": "https://minio.example.com", "profile": "minio"}, nil, "aws configure --profile minio"},
		{"az://c", remote.Settings{"account": "a"}, nil, "az login"},
		{"az://c", remote.Settings{"account": "a", "endpoint": "http://127.0.0.1:1/a"}, nil, "export AZURE_STORAGE_KEY=KEY"},
		{"gs://b", nil, nil, "gcloud auth application-default login"},
		{"sftp://host/x", nil, nil, "ssh-add -l"},
		{"oci://host:5000/x", nil, nil, "docker login host:5000"},
		{"dav://host:80/x", nil, nil, "export KEPT_HTTP_HOST=host:80 KEPT_HTTP_USER=NAME KEPT_HTTP_PASSWORD=PASSWORD"},
	} {
		t.Run(fmt.Sprint(c.url, c.s, c.env), func(t *testing.T) {
			for _, key := range []string{"AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} {
				t.Setenv(key, c.env[key])
			}
			refused := &remote.Error{Op: "get", Remote: c.url, Kind: remote.ErrCredentials}
			m := &core.Remote{Name: "default", Settings: c.s}
			for _, err := range []error{&core.RemoteError{Remote: m, Op: "push", Err: refused}, &remoteCheckError{remote: m, failed: 1, first: refused}} {
				if got := hint(err); got != c.want {
					t.Errorf("hint %q, want %q", got, c.want)
				}
				if code := exitCode(err); code != exitRemote {
					t.Errorf("exit code %d", code)
				}
			}
		})
	}
}

// TestSayRetries: a remote that is down is told now and then, not once for each request.
func TestSayRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said strings.Builder
		u := &ui{err: &said}
		say := u.sayRetries()
		for range 20 {
			for range 8 {
				say(errors.New("connection\x1b refused"), 4*time.Second)
				say(errors.New("not worth a word"), time.Second)
			}
			time.Sleep(time.Second)
		}
		if want := strings.Repeat("connection\\x1b refused; trying again in 4s\n", 3); said.String() != want {
			t.Errorf("said:\n%s", said.String())
		}
	})
}
