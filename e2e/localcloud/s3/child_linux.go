package s3

import "syscall"

// dieWithParent lets the kernel kill the child when its parent is gone, even by
// SIGKILL, and keeps a terminal's interrupt from it.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
