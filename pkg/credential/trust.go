package credential

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
)

// NewExternalID returns an external ID: 26 random characters, 130 bits.
func NewExternalID() string { return rand.Text() }

// TrustPolicy is the trust policy that a tenant's role needs: the platform's
// accounts may assume it, under the tenant's external ID alone. roleARN tells
// the partition, such as aws or aws-cn.
func TrustPolicy(accounts []string, roleARN, externalID string) string {
	_, rest, _ := strings.Cut(roleARN, ":")
	partition, _, _ := strings.Cut(rest, ":")
	principals := make([]string, len(accounts))
	for i, account := range accounts {
		principals[i] = "arn:" + partition + ":iam::" + account + ":root"
	}
	type equals struct {
		ExternalID string `json:"sts:ExternalId"`
	}
	type statement struct {
		Effect    string
		Principal struct{ AWS []string }
		Action    string
		Condition struct{ StringEquals equals }
	}
	s := statement{Effect: "Allow", Action: "sts:AssumeRole"}
	s.Principal.AWS, s.Condition.StringEquals.ExternalID = principals, externalID
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	err := enc.Encode(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", []statement{s}})
	if err != nil {
		panic(err) // texts always encode
	}
	return out.String()
}

// CheckAccount fails if account is not the ID of an AWS account.
func CheckAccount(account string) error {
	if !accountID.MatchString(account) {
		return fmt.Errorf("%q is not the ID of an AWS account: 12 digits", account)
	}
	return nil
}
