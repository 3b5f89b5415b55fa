package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Keys are the credentials that a stack accepts: the root key, and the sessions
// of its roles. They are safe for concurrent use.
type Keys struct {
	account    string
	rootKey    string
	rootSecret string
	seal       cipher.AEAD
	secretOf   []byte // HMAC key: a session's secret is the HMAC of its access key

	mu    sync.RWMutex
	roles map[string]Role
	seen  map[string]claims // opened tokens: a cache, emptied when it has seenAtMost entries
}

// Role is a role of the stack.
type Role struct {
	ARN         string
	ExternalIDs []string // AssumeRole must name one of them; none: no external ID is asked for
	RootOnly    bool     // only root may assume it
	Principal   string   // the account whose identities may assume it; empty: any
	Policy      *Policy  // upper bound of its sessions' permissions; nil: nothing
}

// Trusts tells whether a caller with the external ID may assume the role.
func (r Role) Trusts(id Identity, externalID string) bool {
	switch {
	case r.RootOnly && !id.IsRoot(), r.Principal != "" && r.Principal != id.Account():
		return false
	}
	return len(r.ExternalIDs) == 0 || slices.Contains(r.ExternalIDs, externalID)
}

// claims are the contents of a session token.
type claims struct {
	AccessKey string    `json:"k"`
	RoleARN   string    `json:"r"`
	Name      string    `json:"n"`
	Policy    string    `json:"p,omitempty"`
	Expires   time.Time `json:"e"`

	session *Policy
}

// Session is a session as AssumeRole returns it.
type Session struct {
	AccessKey, Secret, Token string
	ARN, UserID              string
	Expires                  time.Time
}

const seenAtMost = 4096 // a token and its policy are about 5 KB

// RandomKey makes a root key in AWS's lengths: id 20 characters, secret 40.
func RandomKey() (accessKey, secret string) {
	return "AKIA" + randomName(16), base64.RawURLEncoding.EncodeToString(randomBytes(30))
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the process instead
	return b
}

// randomName returns n characters of A–Z and 2–7.
func randomName(n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	b := randomBytes(n)
	for i := range b {
		b[i] = letters[b[i]&31]
	}
	return string(b)
}

// NewKeys makes the credentials of an account with the given root key. The keys
// of all sessions are derived from the root secret.
func NewKeys(account, rootKey, rootSecret string) (*Keys, error) {
	if rootKey == "" || rootSecret == "" {
		return nil, fmt.Errorf("make keys: the root key needs an id and a secret")
	}
	block, err := aes.NewCipher(derive(rootSecret, "session tokens"))
	if err != nil {
		return nil, fmt.Errorf("make keys: %w", err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("make keys: %w", err)
	}
	return &Keys{
		account: account, rootKey: rootKey, rootSecret: rootSecret,
		seal: seal, secretOf: derive(rootSecret, "session secrets"),
		roles: map[string]Role{}, seen: map[string]claims{},
	}, nil
}

func derive(secret, purpose string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

// AddRole adds a role, or replaces it. A change applies to open sessions too.
func (k *Keys) AddRole(r Role) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.roles[r.ARN] = r
}

// Role returns the role with the ARN.
func (k *Keys) Role(arn string) (Role, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	r, ok := k.roles[arn]
	return r, ok
}

// Issue opens a session of a role that ends at expires. A policy other than ""
// restricts the role's permissions.
func (k *Keys) Issue(role Role, name, policy string, expires time.Time) (Session, error) {
	c := claims{AccessKey: "ASIA" + randomName(16), RoleARN: role.ARN, Name: name, Policy: policy, Expires: expires}
	text, err := json.Marshal(c)
	if err != nil {
		return Session{}, fmt.Errorf("issue session: %w", err)
	}
	nonce := randomBytes(k.seal.NonceSize())
	token := base64.StdEncoding.EncodeToString(k.seal.Seal(nonce, nonce, text, nil))
	return Session{
		AccessKey: c.AccessKey, Secret: k.sessionSecret(c.AccessKey), Token: token,
		ARN: c.arn(), UserID: c.userID(), Expires: expires,
	}, nil
}

func (k *Keys) sessionSecret(accessKey string) string {
	return base64.RawURLEncoding.EncodeToString(derive(string(k.secretOf), accessKey)[:30])
}

func (c claims) arn() string {
	arn := strings.Replace(c.RoleARN, ":iam:", ":sts:", 1)
	return strings.Replace(arn, ":role/", ":assumed-role/", 1) + "/" + c.Name
}

// userID is the role's id, derived from its ARN, and the session's name.
func (c claims) userID() string {
	sum := sha256.Sum256([]byte(c.RoleARN))
	return "AROA" + strings.ToUpper(hex.EncodeToString(sum[:8])) + ":" + c.Name
}

// lookup returns the secret and the identity for an access key and its session
// token.
func (k *Keys) lookup(accessKey, token string, now time.Time) (secret string, id Identity, refusal *refusal) {
	if token == "" {
		if accessKey != k.rootKey {
			return "", Identity{}, unknownKey
		}
		return k.rootSecret, Root(k.account, accessKey), nil
	}
	c, ok := k.open(token)
	if !ok || c.AccessKey != accessKey {
		return "", Identity{}, unknownKey
	}
	if !now.Before(c.Expires) {
		return "", Identity{}, expiredToken
	}
	return k.sessionSecret(accessKey), k.identity(c), nil
}

func (k *Keys) identity(c claims) Identity {
	role, ok := k.Role(c.RoleARN)
	if !ok || role.Policy == nil {
		role.Policy = &Policy{}
	}
	limits := []*Policy{role.Policy}
	if c.session != nil {
		limits = append(limits, c.session)
	}
	id := SessionOf(c.AccessKey, c.arn(), c.userID(), limits...)
	id.fleet = role.RootOnly
	return id
}

// open decrypts a token. Only this stack's own tokens can be opened.
func (k *Keys) open(token string) (claims, bool) {
	k.mu.RLock()
	c, ok := k.seen[token]
	k.mu.RUnlock()
	if ok {
		return c, true
	}
	sealed, err := base64.StdEncoding.DecodeString(token)
	if err != nil || len(sealed) < k.seal.NonceSize() {
		return claims{}, false
	}
	n := k.seal.NonceSize()
	text, err := k.seal.Open(nil, sealed[:n], sealed[n:], nil)
	if err != nil || json.Unmarshal(text, &c) != nil {
		return claims{}, false
	}
	if c.Policy != "" {
		if c.session, err = ParsePolicy(c.Policy); err != nil {
			return claims{}, false
		}
	}
	k.remember(token, c)
	return c, true
}

func (k *Keys) remember(token string, c claims) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.seen) >= seenAtMost {
		clear(k.seen)
	}
	k.seen[token] = c
}
