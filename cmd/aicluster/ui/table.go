package ui

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Table writes rows of data in columns, as kubectl does.
func (c *Console) Table(header []string, rows [][]string) {
	w := tabwriter.NewWriter(c.Out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, strings.Join(header, "\t"))
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	_ = w.Flush()
}
