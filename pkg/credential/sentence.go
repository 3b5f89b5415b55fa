package credential

import (
	"errors"
	"fmt"
	"strings"
)

// sentence tells the script's author what prevents the credential, and who can
// mend it: the author, the fleet's operator, or the owner of the role's AWS
// account.
func sentence(ask Ask, role Role, err error) string {
	switch code := codeOf(err); code {
	case CodeUnknown:
		return fmt.Sprintf("%s: tenant %s has no credential %q. The author can name one that the tenant has; the operator can add it: scriptfleet credentials add %s %s --role ARN.",
			code, ask.Tenant, ask.Credential, ask.Tenant, ask.Credential)
	case CodeRuntime:
		return fmt.Sprintf("%s: the credential %q is for %s only, not for %s. The author can choose that runtime; the operator can change the credential's runtimes.",
			code, ask.Credential, strings.Join(role.Runtimes, ", "), ask.Runtime)
	case CodeOwnAccount:
		return fmt.Sprintf("%s: the credential %q is a role in an account of the platform's own, which no script may use. The operator has to replace it by a role in the tenant's account.",
			code, ask.Credential)
	case CodeInvalid:
		return fmt.Sprintf("%s: the settings of the credential %q are not valid: %s. The operator has to mend them.", code, ask.Credential, reasonOf(err))
	case CodePlatform:
		return fmt.Sprintf("%s: the platform's own AWS identity may not call sts:AssumeRole for %s. The operator has to add that permission.", code, role.ARN)
	case CodeOpenRole:
		return fmt.Sprintf("%s: %s can be assumed without its external ID, so whoever learns its ARN could use it through this platform. "+
			"The owner of its AWS account has to make its trust policy ask for sts:ExternalId with StringEquals; the operator has that policy: scriptfleet credentials policy %s.",
			code, role.ARN, ask.Tenant)
	case "":
		return fmt.Sprintf("The credential %q could not be assumed: %v. The script can be run again; if it stays so, the operator has to mend it.", ask.Credential, err)
	default:
		return fmt.Sprintf("%s: STS refuses %s: it does not exist, or does not trust the platform, or asks for another external ID. "+
			"The owner of its AWS account has to mend that; the operator has the trust policy that it needs: scriptfleet credentials check %s %s.",
			code, role.ARN, ask.Tenant, ask.Credential)
	}
}

// codeOf is the code of a refusal, or empty for any other error.
func codeOf(err error) string {
	var d *DeniedError
	if errors.As(err, &d) {
		return d.Code
	}
	return ""
}

func reasonOf(err error) string {
	var d *DeniedError
	if errors.As(err, &d) {
		return d.Reason
	}
	return err.Error()
}
