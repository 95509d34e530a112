import { Secret } from "../../../shared/secret.ts";
import { AwsAuthError, metadataFailed } from "../errors.ts";
import { variable, type AwsEnvironment } from "./environment.ts";
import { parseObject, textField, timeField } from "./json.ts";
import type { LoadContext } from "./load-context.ts";
import { send, type HttpAnswer } from "./network.ts";
import type { Credentials } from "./source.ts";

const CREDENTIALS_PATH = "/latest/meta-data/iam/security-credentials/";

/** No instance metadata service answers: the machine is not an EC2 instance, or the service is switched off. */
export class NoMetadataError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "NoMetadataError";
  }
}

/** Asks instance metadata (IMDSv2 only) for the instance's role. Throws NoMetadataError, or AwsAuthError when it has no role. */
export async function loadInstance(context: LoadContext): Promise<Credentials> {
  const token = await fetchToken(context);
  const list = await get(context, CREDENTIALS_PATH, token);
  const role = list.status === 200 ? list.text.trim().split("\n")[0] : undefined;
  if (role === undefined || role === "") throw metadataFailed("no role is attached to this instance.");
  const answer = await get(context, `${CREDENTIALS_PATH}${role}`, token);
  const body = parseObject(answer.text);
  const accessKeyId = textField(body, "AccessKeyId");
  const secret = textField(body, "SecretAccessKey");
  const sessionToken = textField(body, "Token");
  const expiresAtMs = timeField(body, "Expiration");
  if (accessKeyId === undefined || secret === undefined || sessionToken === undefined || expiresAtMs === undefined) {
    const why = textField(body, "Message") ?? textField(body, "Code") ?? `status ${answer.status}`;
    throw metadataFailed(`the role ${role} gives none (${why}).`);
  }
  return { accessKeyId, secretAccessKey: new Secret(secret), sessionToken: new Secret(sessionToken), expiresAtMs };
}

function metadataUrl(environment: AwsEnvironment): string {
  const configured = variable(environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (configured !== undefined) return configured.replace(/\/+$/u, "");
  const isIpv6 = /^ipv6$/iu.test(variable(environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE") ?? "");
  return isIpv6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
}

async function fetchToken(context: LoadContext): Promise<string> {
  const url = `${metadataUrl(context.environment)}/latest/api/token`;
  const seconds = Number(variable(context.environment, "AWS_METADATA_SERVICE_TIMEOUT") ?? "1");
  const timeoutMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 1000;
  let answer: HttpAnswer;
  try {
    answer = await send(
      { url, method: "PUT", headers: { "x-aws-ec2-metadata-token-ttl-seconds": "21600" }, timeoutMs, isLocal: true },
      context,
    );
  } catch (error) {
    if (!(error instanceof AwsAuthError)) throw error;
    throw new NoMetadataError("no answer: this is not an EC2 instance", { cause: error });
  }
  if (answer.status === 200) return answer.text;
  throw new NoMetadataError(
    answer.status === 403 ? "it is switched off for this instance" : `it answers ${answer.status}`,
  );
}

async function get(context: LoadContext, path: string, token: string): Promise<HttpAnswer> {
  const url = `${metadataUrl(context.environment)}${path}`;
  const headers = { "x-aws-ec2-metadata-token": token };
  try {
    return await send({ url, method: "GET", headers, timeoutMs: 2000, isLocal: true }, context);
  } catch (error) {
    throw error instanceof AwsAuthError ? metadataFailed(error.message) : error;
  }
}
