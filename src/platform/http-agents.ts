import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";

export interface HttpAgentsOptions {
  /** HTTPS_PROXY, HTTP_PROXY and NO_PROXY of these count. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly keepAlive?: boolean;
  readonly maxSockets?: number;
  /** Certificates that are trusted instead of the usual ones, as PEM. */
  readonly ca?: string | undefined;
}

/** Opens connections for many calls, through the proxy that the variables name. Whoever opens them destroys them. */
export function openHttpAgents(options: HttpAgentsOptions): { readonly http: HttpAgent; readonly https: HttpsAgent } {
  const { env, keepAlive = false, maxSockets = Infinity, ca } = options;
  const shared = { keepAlive, maxSockets, proxyEnv: { ...env } };
  return { http: new HttpAgent(shared), https: new HttpsAgent({ ...shared, ...(ca === undefined ? {} : { ca }) }) };
}
