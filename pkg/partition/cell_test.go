package partition

import (
	"fmt"
	"testing"
)

func TestANewCellTakesAnEqualPartAndNoOtherTenantMoves(t *testing.T) {
	const tenants = 10_000
	old, grown := []string{"eu", "us", "ap"}, []string{"ap", "sa", "us", "eu"}
	moved := map[string]int{}
	for i := range tenants {
		name := fmt.Sprint("tenant-", i)
		before, after := Cell(name, old), Cell(name, grown)
		if before == after {
			continue
		}
		if after != "sa" {
			t.Fatalf("%s moves from %s to %s", name, before, after)
		}
		moved[before]++
	}
	for _, cell := range old {
		if n := moved[cell]; n < tenants/12*9/10 || n > tenants/12*11/10 {
			t.Errorf("%d tenants of %s move, not about a twelfth of all", n, cell)
		}
	}
}

// Dispatchers of all versions agree on a tenant's cell.
func TestCellsOfTenantsStay(t *testing.T) {
	for tenant, want := range map[string]string{"acme": "eu", "globex": "ap", "initech": "ap"} {
		if got := Cell(tenant, []string{"ap", "eu", "us"}); got != want {
			t.Errorf("the cell of %s is %s, and was %s", tenant, got, want)
		}
	}
}
