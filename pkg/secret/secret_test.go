package secret

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type manager map[string]string

func (m manager) Secret(_ context.Context, arn string) (string, error) {
	text, ok := m[arn]
	if !ok {
		return "", errors.New("no such secret")
	}
	return text, nil
}

const arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/index-AbCdEf"

func TestASecretIsReadWhereItsReferenceSays(t *testing.T) {
	t.Setenv("SECRET_OF_ACME", " from the environment\n")
	t.Setenv("SECRET_EMPTY", "")
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := Reader{Manager: manager{arn: "from the manager"}}
	for ref, want := range map[string]string{
		"env:SECRET_OF_ACME": "from the environment", "file:" + path: "from a file", arn: "from the manager",
		"env:SECRET_NOT_SET": "", "env:SECRET_EMPTY": "", "file:" + path + "-other": "", arn + "x": "",
	} {
		got, err := r.Read(t.Context(), ref)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", ref, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), ref) {
			t.Errorf("%s is not named: %v", ref, err)
		}
	}
	if _, err := (Reader{}).Read(t.Context(), arn); err == nil {
		t.Error("a secret of Secrets Manager is read without one")
	}
}

func TestASecretInThePlaceOfAReferenceIsRefusedAndNotRepeated(t *testing.T) {
	for _, text := range []string{"", "hunter2", "user:hunter2", "env:", "env:A-hunter2", "file:hunter2", "https://hunter2@pypi.example", "arn:aws:iam::123456789012:role/hunter2"} {
		if err := Check(text); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
