import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3";
import type { ServiceAccess, ServiceCall } from "../../core/ports/cloud.ts";

/** Connections to one endpoint: enough to hide its latency with small objects. */
const MAX_SOCKETS = 64;

/** Destroying the client destroys the connections. */
function handlerOf(access: ServiceAccess): NonNullable<S3ClientConfig["requestHandler"]> {
  const agents = access.openAgents?.();
  if (agents !== undefined) return { httpAgent: agents.http, httpsAgent: agents.https };
  return { httpsAgent: { maxSockets: MAX_SOCKETS }, httpAgent: { maxSockets: MAX_SOCKETS } };
}

interface CallArgs {
  readonly input: object;
}
type Handler = (args: CallArgs) => Promise<{ readonly response: unknown; readonly output: object }>;
type Middleware = (next: Handler, context: { readonly commandName?: string }) => Handler;
interface Stack {
  readonly middlewareStack: {
    add(middleware: Middleware, options: { readonly step: "initialize"; readonly name: string }): void;
  };
}

/** Opens a client for one region. Refusals of its calls are explained by the cloud that the keys come from. */
export async function openS3(access: ServiceAccess, region: string): Promise<S3Client> {
  const { S3Client } = await import("@aws-sdk/client-s3");
  const config: S3ClientConfig = {
    region,
    credentials: () => access.credentials(),
    maxAttempts: 5,
    // A bucket in another region than expected is found there, instead of failing with a redirect.
    followRegionRedirects: true,
    requestHandler: handlerOf(access),
    // Servers other than AWS's own seldom have a host name for each bucket.
    ...(access.endpoint === undefined ? {} : { endpoint: access.endpoint, forcePathStyle: true }),
  };
  const client = new S3Client(config);
  explainRefusals(client, access, region);
  return client;
}

function explainRefusals(client: Stack, access: ServiceAccess, region: string): void {
  const explain: Middleware = (next, context) => async (args) => {
    try {
      return await next(args);
    } catch (error) {
      throw await access.explain(error, callOf(args.input, context.commandName ?? "", region));
    }
  };
  client.middlewareStack.add(explain, { step: "initialize", name: "explainRefusals" });
}

function callOf(input: object, commandName: string, region: string): ServiceCall {
  const [bucket, key]: unknown[] = [Reflect.get(input, "Bucket"), Reflect.get(input, "Key")];
  return {
    operation: commandName.replace(/Command$/u, ""),
    region,
    ...(typeof bucket === "string" ? { bucket } : {}),
    ...(typeof key === "string" ? { key } : {}),
  };
}
