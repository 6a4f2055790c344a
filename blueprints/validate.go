package blueprints

// validate checks what concerns several fields, or knows more than the schema
// can say. Defaults are filled in; the document says what the file itself gives.
func validate(d *document, b *Blueprint) {
	validateMetadata(d, b)
	validateCluster(d, b)
	validateNetwork(d, b)
	validatePools(d, b)
	validateAddons(d, b)
	validateAutoscaler(d, b)
	validateModels(d, b)
	validateServing(d, b)
}
