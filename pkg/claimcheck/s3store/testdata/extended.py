"""Sends or receives one message with the official extended client.

extended.py send URL BUCKET GROUP BYTES    sends that many bytes
extended.py receive URL BUCKET             prints what it received, as JSON
"""
import hashlib
import json
import sys

import boto3
import sqs_extended_client  # noqa: F401 - it extends boto3's client

verb, url, bucket = sys.argv[1:4]
endpoint = url.rsplit("/", 2)[0]
access = {"endpoint_url": endpoint, "region_name": "us-east-1",
          "aws_access_key_id": "test", "aws_secret_access_key": "test"}
client = boto3.client("sqs", **access)
client.large_payload_support = bucket
client.s3_client = boto3.client("s3", **access)

if verb == "send":
    client.send_message(QueueUrl=url, MessageBody="é" * (int(sys.argv[5]) // 2), MessageGroupId=sys.argv[4])
else:
    message = client.receive_message(QueueUrl=url, WaitTimeSeconds=10, MessageAttributeNames=["All"])["Messages"][0]
    body = message["Body"].encode()
    print(json.dumps({"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(),
                      "attributes": {k: v["StringValue"] for k, v in message.get("MessageAttributes", {}).items()}}))
