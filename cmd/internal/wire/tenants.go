package wire

import (
	"context"

	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/awslambda"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/worker"
)

type tenants struct{}

func (f *Fleet) tenants() tenants { return tenants{} }

func (tenants) Admit(string) *run.Error { return nil }

func (tenants) Limits(string) worker.Limits { return worker.Limits{} }

func (f *Fleet) sessions(config.Worker) awslambda.Sessions { return nil }

type noCredentials struct{}

func (noCredentials) Assume(context.Context, string, string) function.Credentials {
	return function.Credentials{}
}

func (f *Fleet) credentials() worker.Credentials { return noCredentials{} }
