// Package deploy holds what runs the fleet elsewhere than on a developer's
// machine, and the tests of it: images, AWS resources, Kubernetes objects; see
// README.md for how to size, roll and mend a fleet.
//
// No container engine runs in the tests. They hold what can be held without:
// Compose's own loader accepts docker-compose.yml; the schemas of CloudFormation
// and Kubernetes accept the templates; what these files say of queues, flags,
// interpreters and time-outs is what the code says.
package deploy
