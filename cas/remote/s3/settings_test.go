package s3_test

import (
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/s3"
)

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		url      string
		settings remote.Settings
		want     string // "" is none
	}{
		{"s3://models", nil, ""},
		{"s3://models/team/a", remote.Settings{"region": "eu-central-1", "profile": "ci", "role": "arn:aws:iam::123456789012:role/models"}, ""},
		{"s3://models", remote.Settings{"endpoint": "https://minio.example.com:9000", "path_style": "true"}, ""},
		{"s3://models", remote.Settings{"endpoint": "http://[::1]:9000/s3", "path_style": "false"}, ""},
		{"s3://models", remote.Settings{"anonymous": "true"}, ""},
		{"s3://models:9000", nil, "want s3://bucket"},
		{"s3://me@models", nil, "want s3://bucket"},
		{"s3://ab", nil, "want s3://bucket"},
		{"s3://models", remote.Settings{"secret_key": "x"}, `unknown setting "secret_key"`},
		{"s3://models", remote.Settings{"region": "eu-central-1.evil.example"}, "no name of a region"},
		{"s3://models", remote.Settings{"region": "eu central"}, "no name of a region"},
		{"s3://models", remote.Settings{"role": "admin"}, "no ARN"},
		{"s3://models", remote.Settings{"path_style": "yes"}, `want "true" or "false"`},
		{"s3://models", remote.Settings{"anonymous": "1"}, `want "true" or "false"`},
		{"s3://models", remote.Settings{"anonymous": "true", "profile": "ci"}, "neither profile nor role"},
		{"s3://models", remote.Settings{"endpoint": "minio.example.com"}, "want a URL"},
		{"s3://models", remote.Settings{"endpoint": "ftp://minio.example.com"}, "want a URL"},
		{"s3://models", remote.Settings{"endpoint": "https://:9000"}, "want a URL"},
		{"s3://models", remote.Settings{"endpoint": "https://me:secret-word@minio.example.com"}, "a user in it"},
		{"s3://models", remote.Settings{"endpoint": "https://minio.example.com?a=b"}, `a "?"`},
		{"s3://models", remote.Settings{"endpoint": "https://minio.example.com#a"}, `a "?" or "#"`},
	} {
		u, err := remote.ParseURL(c.url)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s3.Open(t.Context(), u, c.settings)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: %v, want %q", c.url, c.settings, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%v has a secret in it", err)
		}
	}
}
