package remotetest

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/net/webdav"

	"github.com/kept-dev/kept/cas/remote"
)

// Nginx is nginx on loopback, with the folder "remote" in three places: at DAV by WebDAV, at
// Login by WebDAV for User with Password, and at Static to be read only.
type Nginx struct {
	// Address is where it listens.
	Address string
	// DAV, Login and Static are URLs of the same folder.
	DAV, Login, Static string
	User, Password     string
	// Folder is where the files are.
	Folder string

	log *logBuffer
}

// StartWebDAV starts nginx for the time of a test, and gives the login by the environment.
func StartWebDAV(tb testing.TB) (url string, settings remote.Settings) {
	tb.Helper()
	n := StartNginx(tb)
	tb.Setenv("KEPT_HTTP_HOST", n.Address)
	tb.Setenv("KEPT_HTTP_USER", n.User)
	tb.Setenv("KEPT_HTTP_PASSWORD", n.Password)
	return n.Login, nil
}

// StartNginx starts nginx for the time of a test, without a login in the environment or a
// netrc.
func StartNginx(tb testing.TB) *Nginx {
	tb.Helper()
	program := findServer(tb, "nginx", "nginx-extras")
	modules := findModules(tb, "ngx_http_dav_ext_module.so")
	NoLogins(tb)
	// nginx drops root's rights, and then has to get into the folder.
	dir, err := os.MkdirTemp("", "kept-nginx-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	n := &Nginx{User: "ada", Password: "correct horse", Folder: filepath.Join(dir, "files", "remote"), log: new(logBuffer)}
	for _, sub := range []string{n.Folder, filepath.Join(dir, "temp")} {
		if err := os.MkdirAll(sub, 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	sum := sha1.Sum([]byte(n.Password)) // what nginx knows besides crypt(3)
	writeFile(tb, filepath.Join(dir, "users"), []byte(n.User+":{SHA}"+base64.StdEncoding.EncodeToString(sum[:])+"\n"))
	n.Address = serve(tb, n.log, func(address string) *exec.Cmd {
		config := filepath.Join(dir, "nginx.conf")
		writeFile(tb, config, []byte(nginxConfig(dir, modules, address)))
		return exec.Command(program, "-p", dir, "-c", config, "-e", "stderr")
	})
	n.DAV = fmt.Sprintf("dav://%s/dav/remote", n.Address)
	n.Login = fmt.Sprintf("dav://%s/login/remote", n.Address)
	n.Static = fmt.Sprintf("http://%s/static/remote", n.Address)
	return n
}

// NoLogins keeps the logins of whoever runs the test out of it.
func NoLogins(tb testing.TB) {
	tb.Helper()
	for _, name := range []string{"KEPT_HTTP_HOST", "KEPT_HTTP_USER", "KEPT_HTTP_PASSWORD", "KEPT_HTTP_TOKEN"} {
		tb.Setenv(name, "")
	}
	tb.Setenv("NETRC", filepath.Join(tb.TempDir(), "none"))
}

func findModules(tb testing.TB, needed string) string {
	tb.Helper()
	for _, dir := range []string{"/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/local/libexec/nginx"} {
		if _, err := os.Stat(filepath.Join(dir, needed)); err == nil {
			return dir
		}
	}
	tb.Skipf("no %s here: install nginx-extras", needed)
	return ""
}

func nginxConfig(dir, modules, address string) string {
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n" // the folders are those of the test
	}
	const dav = `
			client_max_body_size 0;
			dav_methods PUT DELETE MKCOL COPY MOVE;
			dav_ext_methods PROPFIND OPTIONS;
			dav_access user:rw group:r all:r;
			create_full_put_path off;`
	return user + fmt.Sprintf(`load_module %[1]s/ngx_http_dav_ext_module.so;
daemon off;
worker_processes 2;
pid %[2]s/nginx.pid;
events { worker_connections 512; }
http {
	access_log off;
	client_body_temp_path %[2]s/temp/body;
	proxy_temp_path %[2]s/temp/proxy;
	fastcgi_temp_path %[2]s/temp/fastcgi;
	uwsgi_temp_path %[2]s/temp/uwsgi;
	scgi_temp_path %[2]s/temp/scgi;
	server {
		listen %[3]s;
		location /static/ { alias %[2]s/files/; }
		location /small/ {
			alias %[2]s/files/;%[4]s
			client_max_body_size 1k;
		}
		location /dav/ {
			alias %[2]s/files/;%[5]s
		}
		location /login/ {
			alias %[2]s/files/;%[5]s
			auth_basic "files";
			auth_basic_user_file %[2]s/users;
		}
	}
}
`, modules, dir, address, dav[len("\n\t\t\tclient_max_body_size 0;"):], dav)
}

// WebDAV is a handler that keeps files in memory, and the folder "remote" of it is there.
func WebDAV(tb testing.TB) http.Handler {
	tb.Helper()
	files := webdav.NewMemFS()
	if err := files.Mkdir(tb.Context(), "/remote", 0o777); err != nil {
		tb.Fatal(err)
	}
	return &webdav.Handler{FileSystem: files, LockSystem: webdav.NewMemLS()}
}

// Serve serves a handler over HTTP on loopback for the time of a test. It returns the URL of its
// folder "remote" for a scheme.
func Serve(tb testing.TB, scheme string, h http.Handler) string {
	tb.Helper()
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return scheme + "://" + s.Listener.Addr().String() + "/remote"
}
