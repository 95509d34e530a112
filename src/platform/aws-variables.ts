/** Variables that say who the caller is to AWS; they are read, forwarded and dropped as one set. */
export const AWS_IDENTITY_VARIABLES = [
  "AWS_PROFILE",
  "AWS_DEFAULT_PROFILE",
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "AWS_SECURITY_TOKEN",
  "AWS_CREDENTIAL_EXPIRATION",
  "AWS_ROLE_ARN",
  "AWS_ROLE_SESSION_NAME",
  "AWS_WEB_IDENTITY_TOKEN_FILE",
] as const;

/** The variables without those that say who the caller is. */
export function withoutAwsIdentity<T>(env: Readonly<Record<string, T>>): Record<string, T> {
  const names = new Set<string>(AWS_IDENTITY_VARIABLES);
  return Object.fromEntries(Object.entries(env).filter(([name]) => !names.has(name)));
}
