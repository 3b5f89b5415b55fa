// Package deploy contains the files to run the fleet on AWS, on Kubernetes and
// with Compose (images, AWS resources, Kubernetes objects), and their tests.
// README.md describes how to size, roll and repair a fleet.
//
// The tests run no container engine. They check what they can without one:
// Compose's own loader accepts docker-compose.yml; the schemas of
// CloudFormation and Kubernetes accept the templates; and queues, flags,
// interpreters and timeouts in these files match the code.
package deploy
