package main

import "golang.org/x/sys/unix"

// touched is more than any contender writes into the page cache in one sample.
const touched = 3 << 30

// touch uses memory and frees it again. A virtual machine gets its memory from its host only
// when it is used, and gives it back some time after it was freed.
func touch() error {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil || info.Totalram*uint64(info.Unit) < 4*touched {
		return err
	}
	b, err := unix.Mmap(-1, 0, touched, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	return unix.Munmap(b)
}
