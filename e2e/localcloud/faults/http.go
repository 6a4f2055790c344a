package faults

import (
	"encoding/json"
	"net/http"
)

// Handler answers under path:
//
//	GET            lists the faults in force and how many calls each has struck
//	POST           adds one; one of the same name is replaced
//	DELETE         lifts all
//	DELETE NAME    lifts one
func (l *List) Handler(path string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { l.write(w) })
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
	var f Fault
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(&f)
	if err == nil {
		f.Name, err = l.Add(f)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]string{"name": f.Name}) //nolint:errcheck // the client is gone
}

func (l *List) write(w http.ResponseWriter) {
	l.mu.Lock()
	list := make([]entry, 0, len(l.entries))
	for _, e := range l.entries {
		list = append(list, *e)
	}
	l.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(list) //nolint:errcheck // the client is gone
}
