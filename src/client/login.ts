import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { writeFileAtomic } from "../platform/atomic-file.ts";
import type { Env } from "../platform/env.ts";
import { skyPaths } from "../platform/paths.ts";
import type { Clock } from "../shared/clock.ts";
import { ApiServerConnectionError, InvalidValueError, PermissionDeniedError } from "../shared/errors.ts";
import { cookieFile, saveCookies } from "./cookies.ts";
import { resolveEndpoint } from "./endpoint.ts";
import { Session } from "./session.ts";
import { readText } from "./transport.ts";
import type { Health } from "./wire-types.ts";

export interface LoginOptions {
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly relogin: boolean;
  readonly env: Env;
  readonly home: string;
  readonly clock: Clock;
  readonly packageDir: string;
  /** Shows the page where the user logs in. */
  readonly openPage: (url: string) => void;
  readonly askToken: (page: string) => Promise<string>;
  readonly signal?: AbortSignal | undefined;
}

const POLL_MS = 1000;
const LOGIN_TIMEOUT_MS = 300_000;
const USER_HASH = /^[a-zA-Z0-9][a-zA-Z0-9-]*$/;

/** Logs in, by token or in the browser, and saves endpoint, cookies and user. Gives the server's answer to the logged-in user. */
export async function loginToServer(options: LoginOptions): Promise<Health> {
  const health = await askHealth(options);
  if (options.token !== undefined) {
    requireHealthy(health, options.endpoint);
    await saveSetting(options.home, { endpoint: options.endpoint, service_account_token: options.token });
    return health;
  }
  if (health.status === "needs_auth" || options.relogin) {
    const token = await obtainBrowserToken(options);
    await saveBrowserToken(token, options);
    const after = await askHealth(options);
    requireHealthy(after, options.endpoint);
    await saveSetting(options.home, { endpoint: options.endpoint });
    return after;
  }
  requireHealthy(health, options.endpoint);
  await saveSetting(options.home, { endpoint: options.endpoint });
  return health;
}

/** Forgets endpoint, token and cookies. */
export async function logoutFromServer(env: Env, home: string): Promise<void> {
  await saveSetting(home, { endpoint: undefined, service_account_token: undefined });
  rmSync(cookieFile(env, home), { force: true });
}

function requireHealthy(health: Health, endpoint: string): void {
  if (health.status === "healthy") return;
  throw new ApiServerConnectionError(`Cannot log in API server at ${endpoint} (status: ${health.status})`);
}

function openSession(options: LoginOptions): Session {
  return new Session({
    endpoint: resolveEndpoint({ ...options.env, SKYPILOT_API_SERVER_ENDPOINT: options.endpoint }, undefined),
    env: options.env,
    home: options.home,
    clock: options.clock,
    packageDir: options.packageDir,
    token: options.token,
    notify: () => undefined,
  });
}

async function askHealth(options: LoginOptions): Promise<Health> {
  const session = openSession(options);
  try {
    return await session.health(options.signal);
  } catch (error) {
    throw session.unreachable(error);
  } finally {
    await session.close();
  }
}

/** The server keeps the token under a challenge whose secret only this process knows, until the user has logged in. */
async function obtainBrowserToken(options: LoginOptions): Promise<string> {
  const verifier = randomBytes(32).toString("base64url");
  const challenge = createHash("sha256").update(verifier).digest("base64url");
  const session = openSession(options);
  try {
    options.openPage(`${options.endpoint}/auth/authorize?code_challenge=${challenge}`);
    const deadline = options.clock.now() + LOGIN_TIMEOUT_MS;
    while (options.clock.now() < deadline) {
      const answer = await session.transport.send("GET", "/api/v1/auth/token", {
        query: { code_verifier: verifier },
        signal: options.signal,
      });
      const text = await readText(answer);
      if (answer.status === 200) return (JSON.parse(text) as { token: string }).token;
      // A server without this way of login answers with a page or another status.
      if (answer.status !== 404) return await options.askToken(`${options.endpoint}/token`);
      await options.clock.sleep(POLL_MS, options.signal === undefined ? {} : { signal: options.signal });
    }
    throw new PermissionDeniedError("Nobody logged in within five minutes.", { hint: "run the command again" });
  } finally {
    await session.close();
  }
}

interface BrowserToken {
  readonly v: number;
  readonly user: string | null;
  readonly cookies: Readonly<Record<string, string>>;
}

async function saveBrowserToken(text: string, options: LoginOptions): Promise<void> {
  let token: BrowserToken;
  try {
    token = JSON.parse(Buffer.from(text, "base64").toString("utf8")) as BrowserToken;
  } catch (error) {
    throw new InvalidValueError("The login token is damaged.", { cause: error, hint: "copy all of it" });
  }
  if (typeof token.cookies !== "object" || token.cookies === null) {
    throw new InvalidValueError("The login token holds no cookies.", { hint: "copy all of it" });
  }
  saveCookies(cookieFile(options.env, options.home), new URL(options.endpoint), token.cookies, options.clock.now());
  if (typeof token.user === "string" && USER_HASH.test(token.user)) {
    writeFileAtomic(skyPaths(options.home).userHash, token.user);
  }
}

/** Sets or removes keys of `api_server` in the user's config file. */
async function saveSetting(home: string, changes: Readonly<Record<string, string | undefined>>): Promise<void> {
  const { dumpYaml, parseYamlDocuments } = await import("../shared/yaml.ts");
  const path = skyPaths(home).config;
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const value = parseYamlDocuments(text, { file: path })[0]?.value;
  const config = typeof value === "object" && value !== null ? { ...(value as Record<string, unknown>) } : {};
  const section = { ...(config["api_server"] as Record<string, unknown> | undefined) };
  for (const [key, setting] of Object.entries(changes)) {
    if (setting === undefined) delete section[key];
    else section[key] = setting;
  }
  if (Object.keys(section).length > 0) config["api_server"] = section;
  else delete config["api_server"];
  if (Object.keys(config).length === 0 && text === "") return;
  const secret = typeof section["service_account_token"] === "string";
  writeFileAtomic(path, Object.keys(config).length === 0 ? "" : dumpYaml(config), { mode: secret ? 0o600 : 0o644 });
}
