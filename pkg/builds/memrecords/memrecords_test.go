package memrecords_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds/memrecords"
	"github.com/scriptfleet/scriptfleet/pkg/builds/recordstest"
)

func TestContract(t *testing.T) {
	recordstest.Run(t, func(t *testing.T, test func(*testing.T, recordstest.Env)) {
		synctest.Test(t, func(t *testing.T) {
			test(t, recordstest.Env{Records: memrecords.New(), Pass: time.Sleep})
		})
	})
}
