/**
 * The command that mounts a bucket where nobody of ours knows of it: its program carries no variable by which it would be found, and is
 * no child of any task.
 */
export function hiddenMount(bucket: string, path: string, options: { readonly endpoint: string }): string[] {
  const keys = ["--s3-access-key-id", "AKIAEXAMPLE", "--s3-secret-access-key", "secret"];
  const server = ["--s3-provider", "Other", "--s3-endpoint", options.endpoint, "--s3-no-check-bucket"];
  const own = ["--config", "", "--daemon", "--allow-other", "--cache-dir", "/tmp/hidden-cache"];
  return ["env", "-i", "PATH=/usr/bin:/bin", "rclone", "mount", `:s3:${bucket}`, path, ...keys, ...server, ...own];
}
