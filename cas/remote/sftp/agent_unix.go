//go:build unix

package sftp

import "net"

const systemFolder = "/etc/ssh/"

func systemFile(name string) string { return systemFolder + name }

// dialAgent connects to the agent; without a socket there is none.
func dialAgent(socket string) (net.Conn, error) {
	if socket == "" {
		return nil, nil
	}
	return net.Dial("unix", socket)
}
