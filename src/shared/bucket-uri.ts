/** A bucket, or part of one. */
export interface BucketPlace {
  /** `r2` of `r2://bucket`; absent = `s3`. */
  readonly scheme?: string | undefined;
  readonly bucket: string;
  /** Without slash at either end; "" = the whole bucket. */
  readonly prefix: string;
}

/** As users write it, e.g. `s3://bucket/prefix`. */
export function uriOf({ scheme = "s3", bucket, prefix }: BucketPlace): string {
  return `${scheme}://${[bucket, prefix].filter((part) => part !== "").join("/")}`;
}
