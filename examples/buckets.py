"""Lists the buckets of the credential's AWS account, after making one if the input names it."""
import boto3


def main(input):
    aws = input["AwsCredentials"]
    if not aws["Success"]:
        raise RuntimeError(aws["Error"])
    s3 = boto3.client("s3", aws_access_key_id=aws["AccessKeyId"], aws_secret_access_key=aws["SecretAccessKey"],
                      aws_session_token=aws["SessionToken"])
    if "bucket" in input:
        s3.create_bucket(Bucket=input["bucket"], CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    return [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
