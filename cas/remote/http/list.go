package http

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/kept-dev/kept/cas/remote"
)

// maxList is how long a server's list of a folder may be: some 500,000 files.
const maxList = 256 << 20

const propfind = `<?xml version="1.0" encoding="utf-8"?>` +
	`<propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/></prop></propfind>`

// response is what a server says of one file or folder.
type response struct {
	Href  string `xml:"DAV: href"`
	Props []struct {
		Status string `xml:"DAV: status"`
		Prop   struct {
			Folder *struct{} `xml:"DAV: resourcetype>collection"`
			Length string    `xml:"DAV: getcontentlength"`
		} `xml:"DAV: prop"`
	} `xml:"DAV: propstat"`
}

// List asks for one folder at a time: many servers refuse to list all below one.
func (p *place) List(ctx context.Context, prefix string, each func(remote.Info) error) error {
	if err := remote.CheckPrefix(prefix); err != nil {
		return p.failed("list", prefix, err)
	}
	if !p.dav {
		return p.failed("list", prefix, &kindError{remote.ErrUnsupported, fmt.Errorf("a web server has no list of its files")})
	}
	dirs := []string{prefix}
	for len(dirs) > 0 {
		dir := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		err := p.listOne(ctx, dir, func(name string, folder bool, size int64) error {
			if folder {
				dirs = append(dirs, name+"/")
				return nil
			}
			return each(remote.Info{Name: name, Size: size})
		})
		err = p.failed("list", prefix, p.orNoRemote(ctx, err))
		if err != nil && !isNotExist(err) { // nothing was put there yet, or what was is gone
			return err
		}
	}
	return nil
}

func (p *place) listOne(ctx context.Context, dir string, each func(name string, folder bool, size int64) error) error {
	at := p.at(dir)
	resp, err := p.propfind(ctx, at, "1")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return parseList(io.LimitReader(resp.Body, maxList), func(r response) error {
		word, ok := p.wordOf(r.Href, at)
		if !ok || remote.CheckName(dir+word) != nil {
			return nil
		}
		isFolder, size := r.what()
		return each(dir+word, isFolder, size)
	})
}

func (p *place) propfind(ctx context.Context, at *url.URL, depth string) (*http.Response, error) {
	return p.do(ctx, request{
		method: "PROPFIND", at: at, body: strings.NewReader(propfind), size: int64(len(propfind)),
		header: map[string]string{"Depth": depth, "Content-Type": "application/xml; charset=utf-8"},
	}, http.StatusMultiStatus)
}

// parseList calls each for what a list names, as it comes.
func parseList(r io.Reader, each func(response) error) error {
	d := xml.NewDecoder(r)
	inside := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && inside {
			return nil
		}
		if err != nil {
			return &connectionError{fmt.Errorf("read its list of files: %w", unexpected(err))}
		}
		start, ok := token.(xml.StartElement)
		switch {
		case !ok:
		case !inside && start.Name == xml.Name{Space: "DAV:", Local: "multistatus"}:
			inside = true
		case !inside:
			return fmt.Errorf("its list of files is a %.40q", start.Name.Local)
		case start.Name == xml.Name{Space: "DAV:", Local: "response"}:
			var one response
			if err := d.DecodeElement(&one, &start); err != nil {
				return &connectionError{fmt.Errorf("read its list of files: %w", unexpected(err))}
			}
			if err := each(one); err != nil {
				return err
			}
		default:
			if err := d.Skip(); err != nil {
				return &connectionError{fmt.Errorf("read its list of files: %w", unexpected(err))}
			}
		}
	}
}

// unexpected is what the end of a list that is not at its end is.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// wordOf returns the last word of the name of what is right in a folder. Anything else,
// and what is on another host, is not.
func (p *place) wordOf(href string, at *url.URL) (string, bool) {
	u, err := url.Parse(strings.TrimSpace(href))
	if err != nil || u.Host != "" && !strings.EqualFold(u.Hostname(), at.Hostname()) {
		return "", false
	}
	word, ok := strings.CutPrefix(u.Path, at.Path)
	word = strings.TrimSuffix(word, "/")
	return word, ok && word != "" && !strings.Contains(word, "/")
}

// what says whether it is a folder and, if it is a file, what is known of its size.
func (r response) what() (folder bool, size int64) {
	size = -1
	for _, s := range r.Props {
		if s.Status != "" && !strings.Contains(s.Status, " 200") {
			continue
		}
		folder = folder || s.Prop.Folder != nil
		if n, err := strconv.ParseInt(strings.TrimSpace(s.Prop.Length), 10, 64); err == nil && n >= 0 {
			size = n
		}
	}
	return folder, size
}

// orNoRemote tells a file that is not there from a remote that is not: its folder may be missing
// until something is put, the one above may not.
func (p *place) orNoRemote(ctx context.Context, err error) error {
	if !errors.Is(kindOf(err), errNotExist) || p.seen.Load() {
		return err
	}
	above := *p.base
	above.Path = folder(path.Dir(p.base.Path))
	for _, at := range []*url.URL{p.at(""), &above} {
		resp, err2 := p.propfind(ctx, at, "0")
		if err2 == nil {
			_ = resp.Body.Close()
		}
		switch {
		case err2 == nil:
			p.seen.Store(true)
			return err
		case errors.Is(kindOf(err2), errNotExist):
		case statusOf(err2) != 0 && !errors.Is(kindOf(err2), remote.ErrTemporary):
			return err // it can't be looked at, so that it may be there
		default:
			return err2
		}
	}
	return &kindError{remote.ErrNoRemote, fmt.Errorf("there is no folder %s", path.Dir(p.base.Path))}
}
