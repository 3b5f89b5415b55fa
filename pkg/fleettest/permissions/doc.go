// Package permissions compares the calls that processes make of AWS with the
// policies of the CloudFormation template: a proxy in front of an endpoint
// records the calls, and each must be allowed; each action that a policy allows
// must have been called.
package permissions
