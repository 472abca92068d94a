"""S3. Blobs are signed, uploaded and read without a client library; boto3 sets up the bucket."""
