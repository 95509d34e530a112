/** Buckets and other places that are not this machine. */
export function isCloudUri(path: string): boolean {
  return /^(?:s3|gs|r2|cos|oci|nebius|cw|vastdata|hf|https?):\/\//.test(path);
}
