package memregistry_test

import (
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/registry/memregistry"
	"github.com/scriptfleet/scriptfleet/pkg/registry/registrytest"
)

func TestKeepsTheContract(t *testing.T) {
	registrytest.Run(t, func(*testing.T) registry.Store { return memregistry.New() })
}
