// Package sts is the embedded stack's STS: GetCallerIdentity and AssumeRole in
// the AWS query protocol.
//
// What must hold:
//   - A role can be assumed only by a caller that the role trusts, and a role
//     with external IDs only with one of them. Like AWS, an unknown role and a
//     wrong external ID get the same message, so a caller cannot find out which
//     roles exist.
//   - A session may do what both its role and its session policy allow.
//   - A session lasts 15 minutes to 12 hours, and at most one hour if a session
//     assumed it (chaining).
package sts

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
)

const (
	maxPolicy      = 2048 // limit of a session policy, in characters
	leastSession   = 900 * time.Second
	mostSession    = 12 * time.Hour
	mostChained    = time.Hour
	normalSession  = time.Hour
	maxFormBytes   = 1 << 20
	actionAssume   = "sts:AssumeRole"
	validationCode = "ValidationError"
)

// Server is the STS endpoint: an http.Handler that must be behind auth.Verify.
type Server struct {
	account string
	keys    *auth.Keys
}

// New issues sessions for the roles in keys.
func New(account string, keys *auth.Keys) *Server {
	return &Server{account: account, keys: keys}
}

// stsError is an error of the query protocol.
type stsError struct {
	status        int
	code, message string
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, ok := auth.From(r.Context())
	if !ok {
		auth.WriteQueryError(w, http.StatusForbidden, "MissingAuthenticationToken", "the request carries no identity")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	if err := r.ParseForm(); err != nil {
		auth.WriteQueryError(w, http.StatusBadRequest, "MalformedQueryString", err.Error())
		return
	}
	var out any
	var failure *stsError
	switch action := r.Form.Get("Action"); action {
	case "GetCallerIdentity":
		out = s.callerIdentity(id)
	case "AssumeRole":
		out, failure = s.assumeRole(id, r)
	default:
		failure = &stsError{http.StatusBadRequest, "InvalidAction", fmt.Sprintf("the embedded STS has no operation %q", action)}
	}
	if failure != nil {
		auth.WriteQueryError(w, failure.status, failure.code, failure.message)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	_ = xml.NewEncoder(w).Encode(out) // on an error the client has gone
}

type metadata struct {
	RequestID string `xml:"RequestId"`
}

func newMetadata() metadata { return metadata{uuid.NewString()} }

type callerIdentityOut struct {
	XMLName xml.Name       `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
	Result  callerIdentity `xml:"GetCallerIdentityResult"`
	Meta    metadata       `xml:"ResponseMetadata"`
}

type callerIdentity struct {
	Arn     string
	UserID  string `xml:"UserId"`
	Account string
}

func (s *Server) callerIdentity(id auth.Identity) callerIdentityOut {
	account := s.account
	if parts := strings.Split(id.ARN, ":"); len(parts) > 4 {
		account = parts[4] // a role's account may be another one
	}
	return callerIdentityOut{Result: callerIdentity{Arn: id.ARN, UserID: id.UserID, Account: account}, Meta: newMetadata()}
}

type assumeRoleOut struct {
	XMLName xml.Name    `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleResponse"`
	Result  assumedRole `xml:"AssumeRoleResult"`
	Meta    metadata    `xml:"ResponseMetadata"`
}

type assumedRole struct {
	User struct {
		AssumedRoleID string `xml:"AssumedRoleId"`
		Arn           string
	} `xml:"AssumedRoleUser"`
	Credentials struct {
		AccessKeyID     string `xml:"AccessKeyId"`
		SecretAccessKey string
		SessionToken    string
		Expiration      string
	}
	PackedPolicySize *int `xml:",omitempty"`
}

var (
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	externalID  = regexp.MustCompile(`^[\w+=,.@:/-]+$`)
	roleARN     = regexp.MustCompile(`^arn:aws:iam::\d{12}:role/[\w+=,.@/-]+$`)
)

func (s *Server) assumeRole(id auth.Identity, r *http.Request) (any, *stsError) {
	arn, name, policy := r.Form.Get("RoleArn"), r.Form.Get("RoleSessionName"), r.Form.Get("Policy")
	if failure := check(arn, name, r.Form.Get("ExternalId"), policy); failure != nil {
		return nil, failure
	}
	life, failure := duration(id, r.Form.Get("DurationSeconds"))
	if failure != nil {
		return nil, failure
	}
	role, ok := s.keys.Role(arn)
	trusted := ok && role.Trusts(id, r.Form.Get("ExternalId"))
	if !trusted || !id.Allows(actionAssume, arn) {
		return nil, &stsError{http.StatusForbidden, "AccessDenied",
			fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", id.ARN, actionAssume, arn)}
	}
	session, err := s.keys.Issue(role, name, policy, time.Now().Add(life))
	if err != nil {
		return nil, &stsError{http.StatusInternalServerError, "InternalFailure", err.Error()}
	}
	return answer(session, policy), nil
}

func check(arn, name, external, policy string) *stsError {
	invalid := func(parameter, value string) *stsError {
		return &stsError{http.StatusBadRequest, validationCode,
			fmt.Sprintf("1 validation error detected: Value %q at '%s' failed to satisfy constraint", value, parameter)}
	}
	switch {
	case !roleARN.MatchString(arn):
		return invalid("roleArn", arn)
	case !sessionName.MatchString(name):
		return invalid("roleSessionName", name)
	case external != "" && (!externalID.MatchString(external) || len(external) < 2 || len(external) > 1224):
		return invalid("externalId", external)
	case len(policy) > maxPolicy:
		return &stsError{http.StatusBadRequest, "PackedPolicyTooLarge",
			fmt.Sprintf("the session policy has %d characters; at most %d are allowed", len(policy), maxPolicy)}
	}
	if policy != "" {
		if _, err := auth.ParsePolicy(policy); err != nil {
			return &stsError{http.StatusBadRequest, "MalformedPolicyDocument", err.Error()}
		}
	}
	return nil
}

// duration is how long a session lasts, with the shorter limit for chaining.
func duration(id auth.Identity, text string) (time.Duration, *stsError) {
	life := normalSession
	if text != "" {
		n, err := strconv.Atoi(text)
		if life = time.Duration(n) * time.Second; err != nil || life < leastSession || life > mostSession {
			return 0, &stsError{http.StatusBadRequest, validationCode,
				fmt.Sprintf("1 validation error detected: Value %q at 'durationSeconds' failed to satisfy constraint: 900 to 43200", text)}
		}
	}
	if id.Session && life > mostChained {
		return 0, &stsError{http.StatusBadRequest, validationCode,
			"The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"}
	}
	return life, nil
}

func answer(session auth.Session, policy string) assumeRoleOut {
	out := assumeRoleOut{Meta: newMetadata()}
	out.Result.User.AssumedRoleID, out.Result.User.Arn = session.UserID, session.ARN
	c := &out.Result.Credentials
	c.AccessKeyID, c.SecretAccessKey, c.SessionToken = session.AccessKey, session.Secret, session.Token
	c.Expiration = session.Expires.UTC().Format(time.RFC3339)
	if policy != "" {
		packed := 1 + len(policy)*99/maxPolicy // per cent of the limit
		out.Result.PackedPolicySize = &packed
	}
	return out
}
