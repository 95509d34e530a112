/** Buckets and other places that are not this machine. */
export function isCloudUri(path: string): boolean {
  return /^(?:s3|gs|r2|cos|oci|nebius|cw|vastdata|hf|https?):\/\//.test(path);
}

/** Files of the web. */
export function isWebUri(path: string): boolean {
  return /^https?:\/\//.test(path);
}

/** Whether it is a URL of any kind. */
export function hasScheme(path: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(path);
}
