package oci

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestParseChallenges(t *testing.T) {
	type params = map[string]string
	for header, want := range map[string][]challenge{
		"":                nil,
		`Basic realm="x"`: {{"basic", params{"realm": "x"}}},
		`basic`:           {{"basic", params{}}},
		`Bearer realm="https://a.test/t",service="s",scope="repository:a:pull,push"`: {
			{"bearer", params{"realm": "https://a.test/t", "service": "s", "scope": "repository:a:pull,push"}}},
		"BEARER  Realm = \"a\\\"b\\\\c\" ,\tservice=plain , ": {{"bearer", params{"realm": `a"b\c`, "service": "plain"}}},
		`Basic realm="a, Bearer b", Bearer realm="c"`:         {{"basic", params{"realm": "a, Bearer b"}}, {"bearer", params{"realm": "c"}}},
		`Negotiate YWJj==, Basic realm="x"`:                   {{"negotiate", params{}}, {"basic", params{"realm": "x"}}},
		`Bearer realm="open`:                                  {{"bearer", params{}}},
		`Bearer realm=`:                                       {{"bearer", params{}}},
		`"what"`:                                              nil,
	} {
		if got := parseChallenges(header); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", header, got, want)
		}
	}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		headers []string
		want    string
	}{
		{nil, ""},
		{[]string{"Negotiate", "Digest realm=x"}, ""},
		{[]string{`Basic realm="x"`, `Bearer realm="y"`}, "bearer"},
		{[]string{`Digest realm="x", Basic realm="y"`}, "basic"},
	} {
		if got := choose(c.headers); got.scheme != c.want {
			t.Errorf("%q: %v, want %s", c.headers, got, c.want)
		}
	}
}

func FuzzChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://a.test/t",service="s",scope="repository:a:pull,push"`)
	f.Add(`Negotiate YWJj==, Basic realm="x\"y", NTLM`)
	f.Add(`Bearer realm="open`)
	f.Fuzz(func(t *testing.T, header string) {
		var again []string
		all := parseChallenges(header)
		for _, c := range all {
			if c.scheme == "" {
				t.Fatalf("%q has a challenge without a scheme", header)
			}
			text := c.scheme
			for key, value := range c.params {
				text += fmt.Sprintf(` %s="%s",`, key, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value))
			}
			again = append(again, text)
		}
		if back := parseChallenges(strings.Join(again, ",")); !reflect.DeepEqual(all, back) {
			t.Errorf("%q is %v, and written again %v", header, all, back)
		}
	})
}
