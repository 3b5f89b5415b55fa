package memstore_test

import (
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/claimcheck/memstore"
	"github.com/scriptfleet/scriptfleet/pkg/claimcheck/storetest"
)

func TestKeepsTheContract(t *testing.T) { storetest.Run(t, memstore.New("bucket")) }
