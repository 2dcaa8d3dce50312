package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/report"
)

func newFsck(u *ui) *cobra.Command {
	var asJSON, full bool
	var sample share
	var seed uint64
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Check the store, and put back what is damaged where it can be had",
		Long: `Fsck looks whether the store has everything that the locks of this clone name,
in all of history, and compares the tables of the store. With --full it reads
every byte and compares it with its hash; one that was interrupted goes on where
it was. What is damaged goes to quarantine, and what a working tree still has
is put back from there.`,
		Example: `  kept fsck                what is there, in a second
  kept fsck --sample 1%    and a hundredth of the bytes, others each time
  kept fsck --full         every byte`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := core.OpenRepository(".")
			if err != nil {
				return err
			}
			opts := core.FsckOptions{Full: full, Sample: float64(sample), Seed: seed, Dial: u.dial(0, false)}
			if sample > 0 && !cmd.Flag("seed").Changed {
				opts.Seed = rand.Uint64() >> 11 // what JSON readers take for a number as it is
			}
			meter := u.watch(r, "checking")
			opts.Progress = r.Workspace.Progress
			found, err := r.Fsck(cmd.Context(), opts)
			meter.pause()
			if err != nil {
				return err
			}
			_ = r.Close()
			if asJSON {
				err = u.json(fsckShape(found, opts))
			} else {
				u.printFsck(found, opts)
			}
			if err != nil {
				return err
			}
			u.sayNotAsked(found)
			return healthOf(found)
		},
	}
	cmd.Flags().BoolVar(&full, "full", false, "read every byte")
	cmd.Flags().Var(&sample, "sample", "read this share of the store, such as 1%")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "choose the same sample again")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("full", "sample")
	completeFlags(cmd, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"1%", "10%"}, cobra.ShellCompDirectiveNoFileComp
	}, "sample")
	return addExits(cmd, "1 something is damaged and could not be put back", "2 wrong usage or configuration", "3 something is missing")
}

// share is a flag with a part of something: "1%" or "0.01".
type share float64

func (s *share) String() string {
	if *s == 0 {
		return "0" // which the help does not show
	}
	return strconv.FormatFloat(float64(*s)*100, 'g', -1, 64) + "%"
}

// Type implements pflag.Value.
func (s *share) Type() string { return "share" }

// Set reads a percentage, or a number up to 1.
func (s *share) Set(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	f, err := strconv.ParseFloat(number, 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f > 0 && f <= 1) {
		return fmt.Errorf("%q is no share such as 1%%", text)
	}
	*s = share(f)
	return nil
}

// healthOf is the exit of a check: damage outweighs what is missing.
func healthOf(found *core.Fsck) error {
	switch {
	case len(found.Unreadable) > 0, len(found.Damaged) > 0 && len(found.Lost) > 0:
		return errFailed
	case len(found.Lost) > 0:
		return errInconclusive
	}
	return nil
}

// sayNotAsked says which remotes could not be asked for what is lost.
func (u *ui) sayNotAsked(found *core.Fsck) {
	command := ""
	for _, err := range found.RemoteErrs {
		u.say("%s %s", u.paint(yellow, "warning:"), clean(err.Error()))
		if command == "" {
			command = hint(err)
		}
	}
	if command != "" {
		u.say("%s %s", u.paint(yellow, "hint:"), clean(command))
	}
}

func (u *ui) printFsck(found *core.Fsck, o core.FsckOptions) {
	for _, d := range found.Damaged {
		where := "left in " + d.Pack
		if d.Quarantine != "" {
			where = "moved to " + d.Quarantine
		}
		u.printf("%s %s, %s\n", u.paint(red, "damaged:"), clean(d.Err.Error()), clean(where))
	}
	for _, err := range found.Unreadable {
		u.printf("%s %s\n", u.paint(red, "unreadable:"), clean(err.Error()))
	}
	for _, l := range found.Repaired {
		u.printf("%s %s, from %s\n", u.paint(green, "repaired:"), u.lostText(l), clean(l.From))
	}
	for _, l := range found.Lost {
		u.printf("%s %s\n", u.paint(red, "missing:"), u.lostText(l))
	}
	text := plural(found.Objects, "object") + " looked for"
	if n := len(found.Lost); n > 0 {
		text += fmt.Sprintf(", %d missing", n)
	}
	if n := len(found.Repaired); n > 0 {
		text += fmt.Sprintf(", %d repaired", n)
	}
	text += "; " + plural(found.Packs, "pack")
	if o.Full || o.Sample > 0 {
		text += fmt.Sprintf(", %s read", report.Size(found.Bytes))
	}
	if found.Resumed > 0 {
		text += fmt.Sprintf(", %d read before", found.Resumed)
	}
	if n := len(found.Damaged); n > 0 {
		text += fmt.Sprintf(", %d damaged", n)
	}
	u.printf("%s\n", text)
	if o.Sample > 0 {
		u.say("the same sample again: --sample %s --seed %d", (*share)(&o.Sample).String(), o.Seed)
	}
}

// lostText says what an object is, where, and since when.
func (u *ui) lostText(l core.LostObject) string {
	var parts []string
	for i, n := range l.Names {
		const most = 2
		if i == most {
			parts = append(parts, "and other names")
			break
		}
		text := n.Kind + " " + n.Name
		if n.Path != "" && n.Path != n.Name {
			text = n.Kind + " " + n.Path
		}
		switch {
		case n.Commit.ID != "":
			text += fmt.Sprintf(" of %.10s %q", n.Commit.ID, n.Commit.Subject)
		case n.Lock != "":
			text += " of " + n.Lock
		}
		parts = append(parts, text)
	}
	text := l.Digest.Short() + " " + strings.Join(parts, ", ")
	if l.Commits > 1 {
		text += fmt.Sprintf(" (%d commits)", l.Commits)
	}
	return clean(text)
}

type damageJSON struct {
	Pack       string   `json:"pack"`
	Error      string   `json:"error"`
	Lost       []string `json:"lost"`
	Quarantine string   `json:"quarantine,omitempty"`
}

type lostJSON struct {
	Object  string     `json:"object"`
	Commits int        `json:"commits"`
	Names   []nameJSON `json:"names"`
	From    string     `json:"from,omitempty"`
}

type nameJSON struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Path   string `json:"path,omitempty"`
	Lock   string `json:"lock,omitempty"`
	Commit string `json:"commit,omitempty"`
}

type fsckJSON struct {
	Version    int          `json:"version"`
	Healthy    bool         `json:"healthy"`
	Objects    int          `json:"objects"`
	Packs      int          `json:"packs"`
	Groups     int          `json:"groups"`
	Bytes      int64        `json:"bytes"`
	Resumed    int          `json:"resumed"`
	Seed       *uint64      `json:"seed,omitempty"`
	Damaged    []damageJSON `json:"damaged"`
	Unreadable []string     `json:"unreadable"`
	Repaired   []lostJSON   `json:"repaired"`
	Missing    []lostJSON   `json:"missing"`
}

func fsckShape(found *core.Fsck, o core.FsckOptions) fsckJSON {
	err := healthOf(found)
	shape := fsckJSON{
		Version: 1, Healthy: !errors.Is(err, errFailed) && !errors.Is(err, errInconclusive),
		Objects: found.Objects, Packs: found.Packs, Groups: found.Groups, Bytes: found.Bytes, Resumed: found.Resumed,
		Damaged: []damageJSON{}, Unreadable: []string{}, Repaired: lostShapes(found.Repaired), Missing: lostShapes(found.Lost),
	}
	if o.Sample > 0 {
		shape.Seed = &o.Seed
	}
	for _, d := range found.Damaged {
		damage := damageJSON{Pack: d.Pack, Error: d.Err.Error(), Lost: []string{}, Quarantine: d.Quarantine}
		for _, lost := range d.Lost {
			damage.Lost = append(damage.Lost, lost.String())
		}
		shape.Damaged = append(shape.Damaged, damage)
	}
	for _, err := range found.Unreadable {
		shape.Unreadable = append(shape.Unreadable, err.Error())
	}
	return shape
}

func lostShapes(list []core.LostObject) []lostJSON {
	shapes := []lostJSON{}
	for _, l := range list {
		shape := lostJSON{Object: l.Digest.String(), Commits: l.Commits, Names: []nameJSON{}, From: l.From}
		for _, n := range l.Names {
			shape.Names = append(shape.Names, nameJSON{n.Kind, n.Name, n.Path, n.Lock, n.Commit.ID})
		}
		shapes = append(shapes, shape)
	}
	return shapes
}
