package oci

import (
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestDockerConfig(t *testing.T) {
	b64 := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	ada := credential{user: "ada", password: "secret:word"}
	for _, c := range []struct {
		name, text, key string
		want            credential
		err             string
	}{
		{"empty file", " \n", "a.test", credential{}, ""},
		{"nothing", "{}", "a.test", credential{}, ""},
		{"by host", `{"auths":{"a.test":{"auth":"` + b64("ada:secret:word") + `"}}}`, "a.test", ada, ""},
		{"another port", `{"auths":{"a.test:5000":{"auth":"` + b64("ada:secret:word") + `"}}}`, "a.test", credential{}, ""},
		{"by an old URL", `{"auths":{"https://a.test/v2/":{"auth":"` + b64("ada:secret:word") + `"}}}`, "a.test", ada, ""},
		{"the host comes first", `{"auths":{"https://a.test/v2/":{"auth":"` + b64("eve:x") + `"},"a.test":{"auth":"` + b64("ada:secret:word") + `"}}}`, "a.test", ada, ""},
		{"in old fields", `{"auths":{"a.test":{"username":"ada","password":"secret:word"}}}`, "a.test", ada, ""},
		{"auth before old fields", `{"auths":{"a.test":{"username":"eve","auth":"` + b64("ada:secret:word") + `"}}}`, "a.test", ada, ""},
		{"tokens", `{"auths":{"a.test":{"identitytoken":"i","registrytoken":"r"}}}`, "a.test", credential{refresh: "i", access: "r"}, ""},
		{"in the keeper", `{"auths":{"a.test":{}}}`, "a.test", credential{}, ""},
		{"broken entry of another", `{"auths":{"b.test":7,"a.test":{"auth":"` + b64("ada:secret:word") + `"}}}`, "a.test", ada, ""},
		{"broken entry", `{"auths":{"a.test":7}}`, "a.test", credential{}, "not as docker writes it"},
		{"no base64", `{"auths":{"a.test":{"auth":"secret-word!"}}}`, "a.test", credential{}, "not user:password"},
		{"no colon", `{"auths":{"a.test":{"auth":"` + b64("secret-word") + `"}}}`, "a.test", credential{}, "not user:password"},
		{"broken file", `{"auths":["secret-word"]}`, "a.test", credential{}, "json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, err := parseDockerConfig([]byte(c.text))
			var got credential
			if err == nil {
				got, err = config.credential(c.key)
			}
			if got != c.want || (err == nil) != (c.err == "") {
				t.Errorf("%+v, %v", got, err)
			}
			if err != nil && (!strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "secret-word")) {
				t.Error(err)
			}
		})
	}
}

func TestKeyOfTheRegistryWithoutAName(t *testing.T) {
	for host, want := range map[string]string{
		"docker.io": "https://index.docker.io/v1/", "registry-1.docker.io": "https://index.docker.io/v1/", "a.test:5000": "a.test:5000",
	} {
		if got := (&credentials{host: host}).key(); got != want {
			t.Errorf("%s: %s", host, got)
		}
	}
	if u, err := endpoint("docker.io", "team/models", false); err != nil || u.String() != "https://registry-1.docker.io/v2/team/models/" {
		t.Error(u, err)
	}
}

func TestHelpers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the helpers here are shell scripts")
	}
	folder := t.TempDir()
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, c := range []struct {
		name, script string
		want         credential
		err          string
	}{
		{"password", `echo '{"ServerURL":"a","Username":"ada","Secret":"word"}'`, credential{user: "ada", password: "word"}, ""},
		{"token", `echo '{"Username":"<token>","Secret":"refresh"}'`, credential{refresh: "refresh"}, ""},
		{"none", `echo credentials not found in native keychain; exit 1`, credential{}, ""},
		{"says.why", `echo it is locked; exit 1`, credential{}, "docker-credential-says.why: it is locked"},
		{"says-why_aside", `echo no key >&2; exit 3`, credential{}, "docker-credential-says-why_aside: no key"},
		{"silent", `exit 3`, credential{}, "exit status 3"},
		{"no-json", `echo secret-word`, credential{}, "not as it should be"},
	} {
		t.Run(c.name, func(t *testing.T) {
			write(t, filepath.Join(folder, "docker-credential-"+c.name), "#!/bin/sh\n[ \"$*\" = get ] || exit 9\n"+c.script+"\n", 0o755)
			got, err := askHelper(context.Background(), c.name, "a.test")
			if got != c.want || (err == nil) != (c.err == "") || err != nil && (!strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "secret-word")) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	for _, name := range []string{"", "../x", "a/b", `a\b`, "a b", "ä", "x;y", "x\x00"} {
		if _, err := askHelper(context.Background(), name, "a.test"); err == nil || !strings.Contains(err.Error(), "no name of a credential helper") {
			t.Errorf("%q: %v", name, err)
		}
	}
	// Not even a PATH that has the working directory in it makes a program of it be run.
	t.Chdir(folder)
	t.Setenv("PATH", ".")
	if _, err := askHelper(context.Background(), "password", "a.test"); err == nil {
		t.Error("a program in the working directory was run")
	}
}

func FuzzDockerConfig(f *testing.F) {
	f.Add([]byte(`{"auths":{"https://a.test/v1/":{"auth":"YTpi"}},"credsStore":"x","credHelpers":{"b.test":"y"}}`))
	f.Add([]byte(`{"auths":{"a.test":{"username":"a","password":"b","identitytoken":"c"}}}`))
	f.Add([]byte(`{"auths":{"a.test":null}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseDockerConfig(text)
		if err != nil {
			return
		}
		_ = c.helper("a.test")
		one, err1 := c.credential("a.test")
		two, err2 := c.credential("a.test")
		if one != two || (err1 == nil) != (err2 == nil) {
			t.Errorf("%q has %v and %v", text, one, two)
		}
		if err1 != nil && one != (credential{}) {
			t.Errorf("%q has %v and %v", text, one, err1)
		}
	})
}
