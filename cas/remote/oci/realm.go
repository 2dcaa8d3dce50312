package oci

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// realmError is that a registry names a token server to which nothing is sent.
type realmError struct{ why string }

func (e *realmError) Error() string { return "token server: " + e.why }

// parseRealm returns the address of the token server that a registry names.
func parseRealm(ctx context.Context, text string, registry *url.URL) (*url.URL, error) {
	if text == "" {
		return nil, &realmError{"the registry wants a token and does not say whose"}
	}
	realm, err := url.Parse(text)
	if err != nil || realm.Host == "" {
		return nil, &realmError{fmt.Sprintf("%q is no URL", text)}
	}
	return realm, checkRealm(ctx, realm, registry)
}

// checkRealm refuses a token server that a registry should not have credentials sent to: one
// without encryption, where the registry has it, and one that this machine can
// reach and the registry, elsewhere, can't have. A name that is not found is let
// through, as a proxy may know it.
func checkRealm(ctx context.Context, realm, registry *url.URL) error {
	if realm.Scheme != "https" && (realm.Scheme != "http" || registry.Scheme == "https") {
		return &realmError{realm.Host + " is not asked by " + realm.Scheme}
	}
	host := realm.Hostname()
	if strings.EqualFold(host, registry.Hostname()) {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return checkAddress(host, ip)
	}
	all, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return nil
	}
	for _, one := range all {
		if ip, ok := netip.AddrFromSlice(one.IP); ok {
			if err := checkAddress(host, ip); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkAddress(host string, ip netip.Addr) error {
	if ip = ip.Unmap().WithZone(""); isPrivy(ip) || isPrivy(within(ip)) {
		return &realmError{fmt.Sprintf("%s (%s) is an address of this machine or of the cloud that it is in", host, ip)}
	}
	return nil
}

// isPrivy reports whether an address means something else to each machine, or tells secrets
// to whoever can reach it.
func isPrivy(ip netip.Addr) bool {
	if ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || ip.Is4() && ip.As4()[0] == 0 {
		return true
	}
	switch ip.String() {
	case "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254": // metadata of clouds
		return true
	}
	return false
}

// within returns the IPv4 address that NAT64 (64:ff9b::/96) or 6to4 (2002::/16) makes of
// ip, or ip.
func within(ip netip.Addr) netip.Addr {
	if !ip.Is6() {
		return ip
	}
	b := ip.As16()
	switch {
	case string(b[:12]) == "\x00\x64\xff\x9b\x00\x00\x00\x00\x00\x00\x00\x00":
		return netip.AddrFrom4([4]byte(b[12:]))
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return ip
}
