package awssecrets

import (
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/mototest"
	"github.com/scriptfleet/scriptfleet/pkg/secret"
)

func TestMain(m *testing.M) { os.Exit(mototest.Run(m)) }

func TestSecretsOfSecretsManagerAreRead(t *testing.T) {
	client := secretsmanager.NewFromConfig(mototest.Config())
	text, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("acme/index"), SecretString: aws.String("acme:password")})
	if err != nil {
		t.Fatal(err)
	}
	binary, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("acme/binary"), SecretBinary: []byte{0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	r := secret.Reader{Manager: New(client)}
	if got, err := r.Read(t.Context(), *text.ARN); err != nil || got != "acme:password" {
		t.Errorf("the secret is %q, %v", got, err)
	}
	for _, arn := range []string{*binary.ARN, *text.ARN + "x"} {
		if got, err := r.Read(t.Context(), arn); err == nil || !strings.Contains(err.Error(), arn) {
			t.Errorf("%s: %q, %v", arn, got, err)
		}
	}
}
