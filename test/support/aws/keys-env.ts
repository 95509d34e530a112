/** Variables of a user with keys of his own, for whom AWS is at `url`. */
export function keysEnv(url: string, secret = "secret"): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: url,
    AWS_ACCESS_KEY_ID: "AKIAEXAMPLE",
    AWS_SECRET_ACCESS_KEY: secret,
    AWS_EC2_METADATA_DISABLED: "true",
  };
}
