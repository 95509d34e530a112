import type { AwsEnvironment } from "./environment.ts";
import type { Agents } from "./network.ts";
import type { ServerTime } from "./server-time.ts";
import type { Credentials, Source } from "./source.ts";

/** What loading credentials needs of the request that asks for them. */
export interface LoadContext {
  readonly environment: AwsEnvironment;
  readonly agents: Agents;
  readonly time: ServerTime;
  /** Region of STS calls. */
  readonly region: string;
  /** URL of a service, configured or AWS's own. */
  readonly endpoint: (service: string, region: string) => string;
  readonly signal: AbortSignal;
  /** Asks for a code of an MFA device; absent where nobody can be asked. */
  readonly askMfa?: (device: { readonly serial: string; readonly roleArn: string }) => Promise<string>;
  /** Credentials of another source, e.g. the one that asks for a role. */
  readonly credentialsOf: (source: Source) => Promise<Credentials>;
}
