package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
)

// gone replaces the error of a fleet that does not answer by a sentence. It
// returns every other error unchanged.
func gone(err error) error {
	var dial *net.OpError
	var late net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED) && errors.As(err, &dial) && dial.Addr != nil:
		return fmt.Errorf("nothing listens at %s, where AWS_ENDPOINT_URL or REDIS_URL points to a fleet: it has ended or moved. Start one with scriptfleet local and take the settings that it prints, or unset both for a stack of this command's own", dial.Addr)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("the connection to the fleet broke off: the process that AWS_ENDPOINT_URL or REDIS_URL points to has ended. Start it, and look with scriptfleet explain what became of the run")
	case errors.Is(err, ledger.ErrUnavailable) && errors.As(err, &late) && late.Timeout():
		return fmt.Errorf("Redis, where REDIS_URL points, does not answer: %w. It hangs, or a network rule drops what this machine sends to it. The fleet is shown without it by /readyz of each process, which says whether that process reaches Redis", err)
	}
	return err
}
