package sftp

import (
	"context"
	"errors"
	"io/fs"
	"path"

	"github.com/pkg/sftp"

	"github.com/kept-dev/kept/cas/remote"
)

// List reads the folder of prefix and those below it.
func (d *folder) List(ctx context.Context, prefix string, each func(remote.Info) error) error {
	if err := remote.CheckPrefix(prefix); err != nil {
		return d.failed(ctx, "list", prefix, err)
	}
	dirs := []string{prefix}
	for len(dirs) > 0 {
		dir := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		entries, err := call(ctx, d, func(c *sftp.Client) ([]fs.FileInfo, error) { return c.ReadDirContext(ctx, d.path(dir)) })
		if err != nil {
			err = d.failed(ctx, "list", dir, err)
			if errors.Is(err, fs.ErrNotExist) {
				continue // nothing was put there yet, or what was is gone
			}
			return err
		}
		for _, e := range entries {
			name := dir + e.Name()
			switch {
			case remote.CheckName(name) != nil || path.Base(name) != e.Name():
			case e.IsDir():
				dirs = append(dirs, name+"/")
			case e.Mode().IsRegular() && e.Size() >= 0:
				if err := each(remote.Info{Name: name, Size: e.Size()}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
