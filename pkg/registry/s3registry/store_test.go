package s3registry_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/mototest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/stack"
	"github.com/scriptfleet/scriptfleet/pkg/localaws"
	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/registry/registrytest"
	"github.com/scriptfleet/scriptfleet/pkg/registry/s3registry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestMain(m *testing.M) {
	os.Exit(mototest.Run(m))
}

// stores makes stores in one bucket, each below a prefix of its own.
func stores(t *testing.T, cfg aws.Config) (*s3.Client, func(*testing.T) registry.Store) {
	t.Helper()
	client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("scripts")}); err != nil {
		t.Fatal(err)
	}
	return client, func(t *testing.T) registry.Store {
		return s3registry.New(client, "scripts", "fleet/"+strings.ReplaceAll(t.Name(), "/", "-"))
	}
}

func TestKeepsTheContractOnMoto(t *testing.T) {
	_, store := stores(t, mototest.Config())
	registrytest.Run(t, store)
}

func TestKeepsTheContractOnTheEmbeddedStack(t *testing.T) {
	client, store := stores(t, stack.Start(t, localaws.Config{}).AWSConfig())
	registrytest.Run(t, store)
	t.Run("AnotherTextUnderAVersionIsNotReturned", func(t *testing.T) {
		s, n := store(t), registry.Name{Tenant: "acme", ID: "a/b"}
		first, second := run.Pushed{Source: "1"}, run.Pushed{Source: "2"}
		if err := errors.Join(s.PutText(t.Context(), n, first), s.PutText(t.Context(), n, second)); err != nil {
			t.Fatal(err)
		}
		folder := "scripts/fleet/" + strings.ReplaceAll(t.Name(), "/", "-") + "/acme/a~b/versions/"
		key := strings.TrimPrefix(folder, "scripts/") + string(second.Version())
		if _, err := client.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String("scripts"), Key: &key, CopySource: aws.String(folder + string(first.Version()))}); err != nil {
			t.Fatal(err)
		}
		if p, err := s.Text(t.Context(), n, second.Version()); !errors.Is(err, registry.ErrCorrupt) {
			t.Errorf("read %+v, %v", p, err)
		}
	})
}

func TestAMissingBucketIsNoMissingScript(t *testing.T) {
	client := s3.NewFromConfig(mototest.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	_, err := s3registry.New(client, "nowhere", "p").Entry(t.Context(), registry.Name{Tenant: "acme", ID: "a"}, "")
	if err == nil || errors.Is(err, registry.ErrNotFound) {
		t.Errorf("entry = %v: what an operator has to mend must not reject requests", err)
	}
}
