"""A story's end of the queues, and an operator's look at the functions, by boto3
and the official extended client. Prints what it saw as JSON."""
import json
import os

import boto3
import sqs_extended_client  # adds claim checks to boto3's SQS client

bucket = os.environ["SCRIPTFLEET_BUCKET"]
sqs = boto3.client("sqs")
sqs.large_payload_support = bucket
saw = {}


def receive(url, n):
    """Takes n messages off a queue."""
    got = []
    while len(got) < n:
        for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20,
                                     MessageAttributeNames=["All"]).get("Messages", []):
            got.append(m)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
    return got


def request(id, script, input):
    return json.dumps({"specversion": "1.0", "type": "scriptfleet.run.requested", "source": "/stories/boto3", "id": id,
                       "tenant": "acme", "data": {"script": script, "input": input}})


own = sqs.create_queue(QueueName="boto3-own", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
sent = sqs.send_message_batch(QueueUrl=own, Entries=[
    {"Id": str(n), "MessageBody": "message %d" % n, "MessageAttributes": {"n": {"DataType": "Number", "StringValue": str(n)}}}
    for n in range(3)])
saw["sent"] = len(sent["Successful"])
saw["own"] = sorted((m["Body"], m["MessageAttributes"]["n"]["StringValue"]) for m in receive(own, 3))

requests = sqs.get_queue_url(QueueName="scriptfleet-requests")["QueueUrl"]
results = sqs.get_queue_url(QueueName="scriptfleet-results")["QueueUrl"]
sqs.send_message(QueueUrl=requests, MessageGroupId="acme",
                 MessageBody=request("small", "def main(input):\n    return input['n'] + 1", {"n": 41}))
sqs.send_message(QueueUrl=requests, MessageGroupId="acme",
                 MessageAttributes={"S3Key": {"DataType": "String", "StringValue": "scriptfleet/requests/boto3-large"}},
                 MessageBody=request("large", "def main(input):\n    return input['text'] + 'y'", {"text": "x" * 5800000}))
for m in receive(results, 2):
    data = json.loads(m["Body"])
    output = data["data"]["output"]
    saw[data["subject"]] = {
        "status": data["data"]["status"], "attribute": m["MessageAttributes"]["status"]["StringValue"],
        "output": output if data["subject"] == "small" else len(output or ""),
    }
left = sqs.get_queue_attributes(QueueUrl=results, AttributeNames=["All"])["Attributes"]
saw["left"] = int(left["ApproximateNumberOfMessages"]) + int(left["ApproximateNumberOfMessagesNotVisible"])

functions = boto3.client("lambda")
saw["functions"] = [f["FunctionName"] for page in functions.get_paginator("list_functions").paginate() for f in page["Functions"]]
answers = [json.loads(functions.invoke(FunctionName=name, Payload=json.dumps({"input": {"n": 1, "text": "ab"}}))["Payload"].read())
           for name in saw["functions"]]
saw["invoked"] = sorted(str(a["output"]) for a in answers)
print(json.dumps(saw))
