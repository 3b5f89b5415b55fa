package localaws

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
)

// secrets are the credentials that the stack's clients need.
type secrets struct {
	AccessKey     string `json:"access_key"`
	SecretKey     string `json:"secret_key"`
	RedisPassword string `json:"redis_password"`
}

func newSecrets() secrets {
	key, secret := auth.RandomKey()
	return secrets{AccessKey: key, SecretKey: secret, RedisPassword: rand.Text()}
}

// loadSecrets reads the secrets of a data folder, or makes them if it has none.
// Without a folder they are new each time.
func loadSecrets(dir string) (secrets, error) {
	if dir == "" {
		return newSecrets(), nil
	}
	path := filepath.Join(dir, "credentials.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return writeSecrets(path)
	}
	var s secrets
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err == nil && (s.AccessKey == "" || s.SecretKey == "" || s.RedisPassword == "") {
		err = errors.New("a value is missing")
	}
	if err != nil {
		return secrets{}, fmt.Errorf("read credentials of the stack: %w; remove %s to get new ones", err, path)
	}
	return s, nil
}

// writeSecrets writes new secrets completely or not at all.
func writeSecrets(path string) (secrets, error) {
	s := newSecrets()
	text, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = os.WriteFile(path+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return secrets{}, fmt.Errorf("write credentials of the stack: %w", err)
	}
	return s, nil
}
