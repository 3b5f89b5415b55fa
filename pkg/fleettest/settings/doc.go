// Package settings checks that every setting of a tenant has an effect: a fleet
// in memory runs once without and once with the setting, and must behave
// differently. A setting in the schema without a case here fails the test.
package settings
