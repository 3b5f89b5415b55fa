// Package awssecrets reads secrets of AWS Secrets Manager.
package awssecrets

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// API is the part of the SDK's client that is used.
type API interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// Manager reads secrets with the process's own keys, which need
// secretsmanager:GetSecretValue, and kms:Decrypt for a key of one's own.
type Manager struct{ api API }

// New returns a Manager that uses the client.
func New(api API) Manager { return Manager{api} }

// Secret returns the text of the current version. The secret's own region is
// asked, which its ARN names.
func (m Manager) Secret(ctx context.Context, arn string) (string, error) {
	got, err := m.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(arn)},
		func(o *secretsmanager.Options) { o.Region = strings.Split(arn, ":")[3] })
	if err != nil {
		return "", fmt.Errorf("ask Secrets Manager: %w", err)
	}
	if got.SecretString == nil {
		return "", errors.New("the secret is binary: store it as text")
	}
	return *got.SecretString, nil
}
