/** Which IAM action an API call is checked against, where that is not the call's own name. */

const S3_ACTIONS: Readonly<Record<string, string>> = {
  HeadBucket: "ListBucket",
  ListObjects: "ListBucket",
  ListObjectsV2: "ListBucket",
  ListBuckets: "ListAllMyBuckets",
  HeadObject: "GetObject",
  CopyObject: "PutObject",
  CreateMultipartUpload: "PutObject",
  UploadPart: "PutObject",
  UploadPartCopy: "PutObject",
  CompleteMultipartUpload: "PutObject",
  DeleteObjects: "DeleteObject",
  ListObjectVersions: "ListBucketVersions",
  ListParts: "ListMultipartUploadParts",
  ListMultipartUploads: "ListBucketMultipartUploads",
  PutPublicAccessBlock: "PutBucketPublicAccessBlock",
  PutBucketLifecycleConfiguration: "PutLifecycleConfiguration",
};

/** One call of an AWS API. */
export interface ApiCall {
  /** As it prefixes actions: `ec2`, `iam`, `s3`, `ssm`, `sts`, `servicequotas`. */
  readonly service: string;
  /** `RunInstances` */
  readonly operation: string;
  readonly region?: string;
  /** Bucket and key of an S3 call: its refusals name neither. */
  readonly bucket?: string;
  readonly key?: string;
}

/** The action that a call needs first, e.g. `s3:ListBucket` for HeadBucket. */
export function actionOf(call: ApiCall): string {
  const name = call.service === "s3" ? (S3_ACTIONS[call.operation] ?? call.operation) : call.operation;
  return `${call.service}:${name}`;
}

/** The ARN that an S3 call is about; undefined for other services and for calls about all buckets. */
export function bucketArnOf(call: ApiCall): string | undefined {
  if (call.service !== "s3" || call.bucket === undefined) return undefined;
  const isObject = /(?:Object|ObjectVersion|Upload|UploadParts?)$/u.test(actionOf(call)) && call.key !== undefined;
  return `arn:aws:s3:::${call.bucket}${isObject ? `/${call.key}` : ""}`;
}
