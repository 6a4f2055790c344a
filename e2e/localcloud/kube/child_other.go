//go:build unix && !linux

package kube

import "syscall"

// dieWithParent leaves it to the child to see its standard input end.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
