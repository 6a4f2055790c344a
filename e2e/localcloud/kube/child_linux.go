package kube

import "syscall"

// dieWithParent lets the kernel kill the child when its parent is gone, even by
// SIGKILL, and keeps a terminal's interrupt from reaching it before the parent
// has shut things down in order.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
