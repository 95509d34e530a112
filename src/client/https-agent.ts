import https from "node:https";
import type http from "node:http";

/** Apart from the plain transport, because TLS costs start-up time that a local server does not need. */
export function makeHttpsAgent(options: https.AgentOptions): http.Agent {
  return new https.Agent(options);
}
