import { readVariable, type Env } from "../platform/env.ts";

export const DEFAULT_PORT = 46_580;

export interface Endpoint {
  /** Without a slash at the end, and without credentials. */
  readonly url: string;
  /** Where the choice comes from: an environment variable, a config file, or nothing. */
  readonly source: "environment" | "config" | "default";
  /** Whether it is the API server that this machine's client may start and stop. */
  readonly local: boolean;
  readonly port: number;
  /** `user:password` that was part of the URL. */
  readonly credentials: string | undefined;
}

/** The port of the local API server. */
export function localPort(env: Env): number {
  const text = readVariable(env, "SKYPILOT_API_SERVER_LOCAL_PORT");
  const port = Number(text);
  return text !== undefined && Number.isInteger(port) && port > 0 && port < 65_536 ? port : DEFAULT_PORT;
}

/** Finds the API server to talk to: the environment, then the config, then this machine's own. */
export function resolveEndpoint(env: Env, configured: string | undefined): Endpoint {
  const port = localPort(env);
  const given = readVariable(env, "SKYPILOT_API_SERVER_ENDPOINT");
  if (given !== undefined) return toEndpoint(given, "environment", port);
  if (configured !== undefined) return toEndpoint(configured, "config", port);
  return toEndpoint(`http://127.0.0.1:${port}`, "default", port);
}

function toEndpoint(given: string, source: Endpoint["source"], port: number): Endpoint {
  const trimmed = given.trim().replace(/\/+$/, "");
  const match = /^(https?:\/\/)([^/@]+)@(.*)$/.exec(trimmed);
  const url = match === null ? trimmed : `${match[1]}${match[3]}`;
  const credentials = match?.[2] === undefined ? undefined : decodeURIComponent(match[2]);
  return { url, source, local: isLocalUrl(url, port), port, credentials };
}

function isLocalUrl(url: string, port: number): boolean {
  const match = /^http:\/\/(0\.0\.0\.0|localhost|127\.0\.0\.1|\[::\]|\[::1\]):(\d+)$/.exec(url);
  return match !== null && Number(match[2]) === port;
}
