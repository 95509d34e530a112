/** What Node says of a connection that gave no answer, in words. */
const DETAILS: Readonly<Record<string, string>> = {
  ENOTFOUND: "the name is not known (DNS)",
  EAI_AGAIN: "the name cannot be looked up (DNS)",
  ECONNREFUSED: "the connection is refused",
  ECONNRESET: "the connection was reset",
  EHOSTUNREACH: "there is no route",
  ENETUNREACH: "there is no network",
  ETIMEDOUT: "no answer in time",
  EPROTO: "it does not speak TLS",
  CERT_HAS_EXPIRED: "its certificate has expired",
};

/** Certificates that no known authority has signed: in most cases those of a company's proxy. */
const UNTRUSTED = /^(?:SELF_SIGNED|DEPTH_ZERO_SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET_ISSUER))/u;

/** Whether the error means that no answer came, whatever the server would have said. */
export function isNetworkError(error: unknown): boolean {
  const code = codeOf(error);
  const name = error instanceof Error ? error.name : "";
  return (
    name === "TimeoutError" ||
    Object.hasOwn(DETAILS, code) ||
    /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|EPROTO|EPIPE)/u.test(code)
  );
}

/** Why no answer came, in words. */
export function networkDetail(error: unknown): string {
  const code = codeOf(error);
  if (error instanceof Error && error.name === "TimeoutError") return DETAILS["ETIMEDOUT"] ?? code;
  if (UNTRUSTED.test(code)) {
    return "its certificate is not trusted (to trust the one of a proxy: export AWS_CA_BUNDLE=<file>)";
  }
  return DETAILS[code] ?? (error instanceof Error ? error.message : String(error));
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const code: unknown = Reflect.get(error, "code");
  if (typeof code === "string") return code;
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return codeOf(error.cause);
}
