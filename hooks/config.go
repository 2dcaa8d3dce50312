package hooks

import (
	"context"
	"fmt"
	"strconv"

	"github.com/kept-dev/kept/core/git"
)

// configName returns the name of an event's hook in Git's config. It cannot be
// the event's own name: Git dies of that.
func configName(event Event) string { return "hook.kept-" + string(event) }

// installConfig writes the hooks of Git 2.54 and later.
func (in *Installer) installConfig(ctx context.Context) error {
	quoted := quote(in.Binary)
	if quoted == "" {
		quoted = "kept"
	}
	for _, event := range Events {
		// In this order: Git dies of a hook that has an event and no command.
		for _, s := range [][2]string{{".command", hookCommand(event, quoted)}, {".event", string(event)}} {
			if err := in.Repo.SetConfig(ctx, configName(event)+s[0], s[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeConfig removes them. What the user set beside them, such as .enabled, stays.
func (in *Installer) removeConfig(ctx context.Context) error {
	settings, err := in.Repo.LocalConfig(ctx, `^hook\.kept-`)
	if err != nil {
		return err
	}
	for _, event := range Events {
		for _, key := range []string{".event", ".command"} {
			if len(settings[configName(event)+key]) == 0 {
				continue
			}
			if err := in.Repo.UnsetConfig(ctx, configName(event)+key); err != nil {
				return err
			}
		}
	}
	return nil
}

// configStatus returns the status of the events that are configured.
func (in *Installer) configStatus(ctx context.Context, version git.Version) (map[Event]Status, error) {
	settings, err := in.Repo.LocalConfig(ctx, `^hook\.kept-`)
	if err != nil {
		return nil, err
	}
	events := map[Event]Status{}
	for _, event := range Events {
		if err := in.addShared(ctx, version, event, settings); err != nil {
			return nil, err
		}
		commands := settings[configName(event)+".command"]
		if len(commands) == 0 || len(settings[configName(event)+".event"]) == 0 {
			continue
		}
		command := commands[len(commands)-1]
		status := Status{Event: event, Place: InConfig, Path: configName(event) + ".command", Runs: true}
		if m := commandHead().FindStringSubmatch(command); m != nil {
			status.Version, _ = strconv.Atoi(m[1])
		}
		binary := ""
		if m := keptSetting().FindStringSubmatch(command); m != nil {
			binary = unquote(m[1])
		}
		switch off, err := in.disabled(ctx, event); {
		case err != nil:
			return nil, err
		case off != "":
			status.Runs, status.Note = false, off+" is false"
			status.Advice = "git config --unset " + off
		case !version.AtLeast(firstConfigHook.Major, firstConfigHook.Minor):
			status.Runs = false
			status.Note = fmt.Sprintf("Git %s does not know hooks in its config", version)
			status.Advice = "kept hooks install"
		case !found(binary):
			status.Runs = false
			status.Note, status.Advice = "it finds no kept, neither where it was nor in PATH", "kept hooks install"
		}
		events[event] = status
	}
	return events, nil
}

// addShared adds the hook of an event to settings if the user has it in a config
// for all repositories, which no install writes and no uninstall removes.
func (in *Installer) addShared(ctx context.Context, version git.Version, event Event, settings map[string][]string) error {
	if !version.AtLeast(firstConfigHook.Major, firstConfigHook.Minor) {
		return nil // not looked at by this Git, so nothing that would be in the way
	}
	for _, key := range []string{configName(event) + ".command", configName(event) + ".event"} {
		if len(settings[key]) > 0 {
			continue
		}
		value, ok, err := in.Repo.Config(ctx, key)
		if err != nil {
			return err
		}
		if ok {
			settings[key] = []string{value}
		}
	}
	return nil
}

// disabled returns the setting that switches the hook of an event off, or "".
func (in *Installer) disabled(ctx context.Context, event Event) (string, error) {
	for _, key := range []string{configName(event) + ".enabled", "hook." + string(event) + ".enabled"} {
		value, ok, err := in.Repo.Config(ctx, key)
		if err != nil {
			return "", err
		}
		switch value {
		case "false", "no", "off", "0", "":
			if ok {
				return key, nil
			}
		}
	}
	return "", nil
}
