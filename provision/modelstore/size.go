package modelstore

import "aicluster/blueprints"

// Size is what the model takes, once it was observed: as the folder says, or the
// bucket where there is no folder. It is zero if neither says anything.
func (m *Model) Size() blueprints.ModelSize {
	sizes := map[string]int64{}
	if files, err := walk(m.dir); err == nil {
		for _, f := range files {
			sizes[f.key] = f.size
		}
	} else {
		for key, o := range m.remote {
			sizes[key] = o.size
		}
	}
	return blueprints.SizeOf(sizes)
}
