"""A story's end of the queues with boto3: runs one script and prints its result."""
import json, os, uuid
import boto3

sqs, prefix, tenant = boto3.client("sqs"), os.environ.get("SCRIPTFLEET_PREFIX", "scriptfleet"), "acme"
requests, results = (sqs.get_queue_url(QueueName=f"{prefix}-{name}")["QueueUrl"] for name in ("requests", "results"))
run = {"specversion": "1.0", "type": "scriptfleet.run.requested", "source": "/stories/hello", "id": str(uuid.uuid4()),
       "tenant": tenant, "data": {"script": "def main(input):\n    return input['n'] + 1", "input": {"n": 41}}}
sqs.send_message(QueueUrl=requests, MessageBody=json.dumps(run), MessageGroupId=tenant)

handled = set()  # ids of results; SQS may deliver a result twice
while not handled:
    for message in sqs.receive_message(QueueUrl=results, WaitTimeSeconds=20, VisibilityTimeout=30).get("Messages", []):
        result = json.loads(message["Body"])
        if result["id"] not in handled:
            handled.add(result["id"])
            print(result["subject"], result["data"]["status"], result["data"]["output"])
        sqs.delete_message(QueueUrl=results, ReceiptHandle=message["ReceiptHandle"])
