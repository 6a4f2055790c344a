package faults

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// maxBody is more than any fault takes.
const maxBody = 64 << 10

// Handler answers under path:
//
//	GET            lists the faults in force and how much each has struck
//	POST           adds one; one of the same name is replaced
//	DELETE         lifts all
//	DELETE NAME    lifts one
func (l *List) Handler(path string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { write(w, l.report()) })
	mux.HandleFunc("POST "+path, l.post)
	mux.HandleFunc("DELETE "+path, func(w http.ResponseWriter, _ *http.Request) {
		l.Clear()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE "+path+"/{name}", func(w http.ResponseWriter, r *http.Request) {
		if !l.Lift(r.PathValue("name")) {
			http.Error(w, "no fault is named "+r.PathValue("name"), http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

func (l *List) post(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var f Fault
	if err == nil {
		f, err = Read(data)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	write(w, map[string]string{"name": l.Add(f)[0]})
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(v) //nolint:errcheck // the client is gone
}

// report is every fault with the keys that it was given, and what it has done:
// struck counts calls, nodes or instances, holding the calls held back right now.
func (l *List) report() []map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := []map[string]any{}
	for _, e := range l.entries {
		m := map[string]any{"struck": e.struck, "holding": e.holding}
		for _, k := range keys() {
			if v, ok := plain(k.into(&e.Fault)); ok {
				m[k.name] = v
			}
		}
		list = append(list, m)
	}
	return list
}

// plain is a value as JSON shows it, false for one that says nothing.
func plain(v any) (any, bool) {
	switch v := v.(type) {
	case *string:
		return *v, *v != ""
	case *int:
		return *v, *v != 0
	case *bool:
		return *v, *v
	case *float64:
		return *v, *v != 0
	case *time.Duration:
		return v.String(), *v != 0
	}
	return nil, false
}
