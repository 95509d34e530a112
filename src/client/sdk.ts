/** The package's public export: a typed client of a SkyPilot API server. */

export type { SkyClientOptions, ClientConfig } from "./sky-client.ts";
export { SkyClient } from "./sky-client.ts";
export { Request } from "./request.ts";
export { LogStream } from "./log-stream.ts";
