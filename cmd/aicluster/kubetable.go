package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// asTable asks the API server for what kubectl shows, so that READY and STATUS are
// what people see there (Kubernetes' API concepts, "Receiving resources as Tables").
const asTable = "application/json;as=Table;v=v1;g=meta.k8s.io"

// kubeRow is one line of "kubectl get", by column, with the object that it is about.
type kubeRow[T any] struct {
	cells  map[string]string
	object T
}

// kubeTable lists a kind as kubectl does, of a namespace or of all if it is empty.
func kubeTable[T any](ctx context.Context, client rest.Interface, kind, namespace string) ([]kubeRow[T], error) {
	raw, err := client.Get().NamespaceIfScoped(namespace, namespace != "").Resource(kind).
		SetHeader("Accept", asTable).Param("includeObject", string(metav1.IncludeObject)).Do(ctx).Raw()
	if err != nil {
		return nil, err
	}
	var table metav1.Table
	if err := json.Unmarshal(raw, &table); err != nil {
		return nil, fmt.Errorf("reading the table of %s: %w", kind, err)
	}
	rows := make([]kubeRow[T], len(table.Rows))
	for i, r := range table.Rows {
		rows[i].cells = map[string]string{}
		for j, column := range table.ColumnDefinitions {
			if j < len(r.Cells) {
				rows[i].cells[strings.ToUpper(column.Name)] = fmt.Sprint(r.Cells[j])
			}
		}
		if err := json.Unmarshal(r.Object.Raw, &rows[i].object); err != nil {
			return nil, fmt.Errorf("reading an object of %s: %w", kind, err)
		}
	}
	return rows, nil
}

// printRows shows some columns of rows, as many rows as fit a screen.
func (s *session) printRows(rows []map[string]string, columns ...string) {
	const most = 20
	if len(rows) == 0 {
		return
	}
	var out [][]string
	for _, r := range rows[:min(len(rows), most)] {
		var cells []string
		for _, c := range columns {
			cells = append(cells, r[c])
		}
		out = append(out, cells)
	}
	s.console.Data("")
	s.console.Table(columns, out)
	if len(rows) > most {
		s.console.Data("and %d more", len(rows)-most)
	}
}
