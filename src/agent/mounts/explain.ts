/** Says what the keys may do, by the scheme of URIs. */
const RIGHTS: Readonly<Record<string, string>> = {
  s3: "sky check aws --permissions",
  r2: "sky check cloudflare -v, and docs/r2.md",
};

/** rclone's words, and what to do about the usual ones. */
export function explain(
  message: string,
  scheme: string | undefined,
): {
  readonly code: "MOUNT_FAILED" | "MOUNT_DENIED";
  readonly message: string;
  readonly hint?: string;
} {
  const code = "MOUNT_FAILED";
  if (
    /AccessDenied|Unauthorized|403|Forbidden|NoCredentialProviders|get credentials|IMDS|AnonymousCredentials/u.test(
      message,
    )
  ) {
    return {
      code: "MOUNT_DENIED",
      message,
      hint: `The node may not list the bucket: ${RIGHTS[scheme ?? "s3"] ?? "sky check"}`,
    };
  }
  if (/NoSuchBucket|directory not found/u.test(message)) {
    return { code, message, hint: "The bucket is gone. Check its name, or launch again to have it made anew." };
  }
  if (/allow_other/u.test(message)) {
    return { code, message, hint: "Add the line user_allow_other to /etc/fuse.conf of the node." };
  }
  return { code, message };
}
