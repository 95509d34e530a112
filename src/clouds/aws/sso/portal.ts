import { isObject, parseObject, textField, type JsonObject } from "../auth/json.ts";
import { send } from "../auth/network.ts";
import type { SsoToken } from "../auth/sso-token.ts";
import { AwsAuthError, serviceFailed } from "../errors.ts";
import type { OidcContext } from "./oidc.ts";

export interface SsoAccount {
  readonly account_id: string;
  readonly name: string;
  readonly email: string;
}

/** Every account that the logged-in user may enter. Throws AwsAuthError. */
export async function listAccounts(token: SsoToken, context: OidcContext): Promise<readonly SsoAccount[]> {
  const entries = await list("/assignment/accounts", { token, field: "accountList", query: {} }, context);
  return entries
    .map((entry) => ({
      account_id: textField(entry, "accountId") ?? "",
      name: textField(entry, "accountName") ?? "",
      email: textField(entry, "emailAddress") ?? "",
    }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Every role that the logged-in user may take in an account. Throws AwsAuthError. */
export async function listRoles(token: SsoToken, accountId: string, context: OidcContext): Promise<readonly string[]> {
  const query = { account_id: accountId };
  const entries = await list("/assignment/roles", { token, field: "roleList", query }, context);
  return entries.map((entry) => textField(entry, "roleName") ?? "").toSorted();
}

async function list(
  path: string,
  call: { readonly token: SsoToken; readonly field: string; readonly query: Readonly<Record<string, string>> },
  context: OidcContext,
): Promise<readonly JsonObject[]> {
  const entries: JsonObject[] = [];
  let next: string | undefined;
  do {
    const query = new URLSearchParams({
      ...call.query,
      max_result: "100",
      ...(next === undefined ? {} : { next_token: next }),
    });
    const url = `${context.endpoint("sso", call.token.region)}${path}?${query.toString()}`;
    const headers = { "x-amz-sso_bearer_token": call.token.accessToken.reveal() };
    const answer = await send({ url, method: "GET", headers, timeoutMs: 15_000 }, context);
    const body = parseObject(answer.text);
    if (answer.status !== 200 || body === undefined) throw refused(answer.status, textField(body, "message"));
    const page = body[call.field];
    if (Array.isArray(page)) entries.push(...page.filter(isObject));
    next = textField(body, "nextToken");
  } while (next !== undefined);
  return entries;
}

function refused(status: number, message: string | undefined): AwsAuthError {
  if (status === 401) {
    return new AwsAuthError("sso-expired", "AWS access token is expired.", { hint: "Run: sky aws configure-sso" });
  }
  return serviceFailed("The SSO portal", message ?? `status ${status}`);
}
