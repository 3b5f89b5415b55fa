// Package settings holds every setting of a tenant to what it changes: a fleet in
// memory runs once without the setting and once with it, and does another thing.
// A setting that the schema of the file has, and that has no case here, fails.
package settings
