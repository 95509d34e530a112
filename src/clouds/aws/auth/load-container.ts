import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { Secret } from "../../../shared/secret.ts";
import { AwsAuthError, containerFailed } from "../errors.ts";
import { parseObject, textField, timeField } from "./json.ts";
import type { LoadContext } from "./load-context.ts";
import { send, type HttpAnswer } from "./network.ts";
import type { ContainerSource, Credentials } from "./source.ts";

const TIMEOUT_MS = 2000;
const ATTEMPTS = 3;
/** ECS and the EKS pod identity agent. */
const KNOWN_HOSTS = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "localhost"];

/** Asks the endpoint that ECS and EKS pod identity provide. Throws AwsAuthError. */
export async function loadContainer(source: ContainerSource, context: LoadContext): Promise<Credentials> {
  requireSafeUrl(source.url);
  const token = readToken(source);
  const answer = await ask(source, token, context);
  const body = parseObject(answer.text);
  if (answer.status !== 200) {
    throw containerFailed(source.url, `it answers ${answer.status}${detailOf(textField(body, "message"))}.`);
  }
  const accessKeyId = textField(body, "AccessKeyId");
  const secret = textField(body, "SecretAccessKey");
  if (accessKeyId === undefined || secret === undefined) throw containerFailed(source.url, "its answer holds no keys.");
  const sessionToken = textField(body, "Token");
  const expiresAtMs = timeField(body, "Expiration");
  const accountId = textField(body, "AccountId");
  return {
    accessKeyId,
    secretAccessKey: new Secret(secret),
    ...(sessionToken === undefined ? {} : { sessionToken: new Secret(sessionToken) }),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    ...(accountId === undefined ? {} : { accountId }),
  };
}

/** Keys go over plain HTTP only to this machine. */
function requireSafeUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw containerFailed(text, "it is not a URL.");
  const host = url.hostname;
  const isLoopback = (isIP(host) === 4 && host.startsWith("127.")) || host === "[::1]";
  if (url.protocol !== "https:" && !isLoopback && !KNOWN_HOSTS.includes(host)) {
    throw containerFailed(text, `only https, a loopback address or one of ${KNOWN_HOSTS.join(", ")} is allowed.`);
  }
}

function readToken(source: ContainerSource): Secret | undefined {
  if (source.tokenFile === undefined) return source.token;
  let text: string;
  try {
    text = readFileSync(source.tokenFile, "utf8");
  } catch {
    throw containerFailed(source.url, `there is no token file ${source.tokenFile}.`);
  }
  if (/[\r\n]/u.test(text)) throw containerFailed(source.url, `${source.tokenFile} holds more than one line.`);
  return new Secret(text);
}

async function ask(source: ContainerSource, token: Secret | undefined, context: LoadContext): Promise<HttpAnswer> {
  const headers = {
    accept: "application/json",
    ...(token === undefined ? {} : { authorization: token.reveal() }),
  };
  const call = { url: source.url, method: "GET", headers, timeoutMs: TIMEOUT_MS, isLocal: true } as const;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answer = await send(call, context);
      if (answer.status < 500 || attempt === ATTEMPTS) return answer;
    } catch (error) {
      if (!(error instanceof AwsAuthError)) throw error;
      if (attempt === ATTEMPTS) throw containerFailed(source.url, error.message);
    }
  }
}

function detailOf(message: string | undefined): string {
  return message === undefined ? "" : `: ${message}`;
}
