"""Creates the stack of a CloudFormation template and prints its outputs as JSON.

    createstack.py TEMPLATE PREFIX PARTITION_NUMBERS

AWS expands Fn::ForEach on its side, before it creates anything. moto does not, so
cfn-lint's implementation of that transform does it here.
"""
import json
import sys

import boto3
from cfnlint.decode import decode
from cfnlint.template import Template
from cfnlint.template.transforms._language_extensions import language_extension

file, prefix, numbers = sys.argv[1:]
template, problems = decode(file)
if problems:
    sys.exit(str(problems))
# The transform takes the numbers from the parameter's default.
template["Parameters"]["PartitionNumbers"]["Default"] = numbers
problems, expanded = language_extension(Template(file, template, [boto3.Session().region_name]))
if problems:
    sys.exit(str(problems))
del expanded["Transform"]

account = boto3.client("sts").get_caller_identity()["Account"]
parameters = {
    "Prefix": prefix,
    "PartitionNumbers": numbers,
    "RedisUrlSecretArn": f"arn:aws:secretsmanager:us-east-1:{account}:secret:redis",
    "AlarmTopicArn": f"arn:aws:sns:us-east-1:{account}:alarms",
}
formation = boto3.client("cloudformation")
formation.create_stack(
    StackName=prefix, TemplateBody=json.dumps(expanded, default=str), Capabilities=["CAPABILITY_IAM"],
    Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()])
formation.get_waiter("stack_create_complete").wait(StackName=prefix, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
stack = formation.describe_stacks(StackName=prefix)["Stacks"][0]
print(json.dumps({o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}))
