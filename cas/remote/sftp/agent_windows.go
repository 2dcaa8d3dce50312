package sftp

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/Microsoft/go-winio"
)

func systemFile(name string) string { return filepath.Join(os.Getenv("PROGRAMDATA"), "ssh", name) }

// dialAgent connects to the agent: to that of the system where no socket is named.
func dialAgent(socket string) (net.Conn, error) {
	switch {
	case socket == "":
		conn, err := winio.DialPipe(`\\.\pipe\openssh-ssh-agent`, nil)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return conn, err
	case strings.HasPrefix(socket, `\\.\pipe\`):
		return winio.DialPipe(socket, nil)
	}
	return net.Dial("unix", socket)
}
