import type { RegistryLogin } from "../../shared/agent/protocol.ts";
import { OperationFailedError } from "../../shared/errors.ts";
import { isObject, parseObject, textField } from "./auth/json.ts";
import type { LoadContext } from "./auth/load-context.ts";
import { send } from "./auth/network.ts";
import { signedHeaders } from "./catalog/sign.ts";
import { openClients, type AwsSession } from "./clients.ts";
import { explainFailure } from "./policy/denied-error.ts";

const SERVICE = "ecr";
const TIMEOUT_MS = 30_000;

/** A private registry of Amazon ECR: its account, its region and the domain of its partition. */
const HOST =
  /^(?<account>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?<region>[a-z]{2}(?:-[a-z]+)+-\d)\.(?<domain>amazonaws\.com(?:\.cn)?|on\.aws)$/u;

const REFUSED =
  "The AWS identity of the server may log in, but not pull this image: it needs ecr:BatchGetImage and ecr:GetDownloadUrlForLayer " +
  "(sky aws policy --features ecr), and for another account's repository the consent of that repository's own policy.";

export interface EcrAccess {
  readonly session: AwsSession;
  readonly load: Pick<LoadContext, "agents" | "time" | "signal">;
}

export interface EcrRegistry {
  readonly host: string;
  readonly region: string;
  /** Where its tokens are given out. */
  readonly url: string;
}

/** The registry of ECR that an image names; undefined for any other image. */
export function ecrRegistryOf(image: string): EcrRegistry | undefined {
  const [host = ""] = image.split("/");
  const { region, domain } = HOST.exec(host)?.groups ?? {};
  if (region === undefined || domain === undefined || !image.includes("/")) return undefined;
  const isChina = domain.endsWith(".cn") || region.startsWith("cn-");
  return { host, region, url: `https://api.ecr.${region}.amazonaws.com${isChina ? ".cn" : ""}/` };
}

/**
 * A login that holds for twelve hours, for every registry that the caller may pull from. Throws AwsDeniedError, AwsAuthError for
 * credentials that cannot be used, and OperationFailedError for any other refusal.
 */
export async function fetchEcrLogin(registry: EcrRegistry, { session, load }: EcrAccess): Promise<RegistryLogin> {
  const { region, host } = registry;
  const url = new URL(session.endpoint(SERVICE) ?? registry.url).toString();
  const target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
  const headers = { "content-type": "application/x-amz-json-1.1", "x-amz-target": target };
  const call = { url, method: "POST", headers, body: "{}" } as const;
  const scope = { region, service: SERVICE, nowMs: load.time.now() };
  const signed = signedHeaders(call, await session.credentials(), scope);
  const answer = await send({ ...call, headers: signed, timeoutMs: TIMEOUT_MS }, load);
  const parsed = parseObject(answer.text);
  const login = answer.status === 200 ? readToken(parsed) : undefined;
  if (login !== undefined) return { ...login, server: host, hintWhenRefused: REFUSED };
  throw await refusal(parsed, { status: answer.status, region, session });
}

/** The token is `user:password` in base64. */
function readToken(
  answer: Readonly<Record<string, unknown>> | undefined,
): Pick<RegistryLogin, "username" | "password"> | undefined {
  const list = answer?.["authorizationData"];
  const first: unknown = Array.isArray(list) ? list[0] : undefined;
  const token = isObject(first) ? textField(first, "authorizationToken") : undefined;
  const [, username, password] = /^([^:]+):(.+)$/su.exec(Buffer.from(token ?? "", "base64").toString("utf8")) ?? [];
  return username === undefined || password === undefined ? undefined : { username, password };
}

async function refusal(
  answer: Readonly<Record<string, unknown>> | undefined,
  at: { readonly status: number; readonly region: string; readonly session: AwsSession },
): Promise<unknown> {
  const name = textField(answer, "__type")?.split("#").at(-1) ?? `HTTP ${at.status}`;
  const message = textField(answer, "message") ?? textField(answer, "Message") ?? "";
  const failure = Object.assign(new Error(message), { name, $metadata: { httpStatusCode: at.status } });
  const clients = openClients(at.session);
  try {
    const call = { service: SERVICE, operation: "GetAuthorizationToken", region: at.region };
    const explained = await explainFailure(failure, call, { decode: clients.decode });
    if (explained !== failure) return explained;
  } finally {
    clients.close();
  }
  const text = `ecr:GetAuthorizationToken failed in ${at.region}: ${name}${message === "" ? "" : ` (${message})`}`;
  return new OperationFailedError(text, { cause: failure });
}
