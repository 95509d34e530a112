import { withoutAwsIdentity } from "../platform/aws-variables.ts";
import type { Env } from "../platform/env.ts";
import { isSet, readVariable } from "../platform/env.ts";
import type { Clock } from "../shared/clock.ts";
import {
  ApiServerConnectionError,
  ApiVersionMismatchError,
  PermissionDeniedError,
  SkyError,
} from "../shared/errors.ts";
import { cookieFile, loadCookieHeader } from "./cookies.ts";
import type { Endpoint } from "./endpoint.ts";
import { errorOfAnswer } from "./remote-errors.ts";
import { discard, readText, Transport, type Answer, type SendOptions } from "./transport.ts";
import { API_VERSION, CLIENT_VERSION, MIN_COMPATIBLE_API_VERSION, MIN_COMPATIBLE_VERSION } from "./version.ts";
import type { SshTunnelTarget } from "./ssh-tunnel.ts";
import type { Health } from "./wire-types.ts";

export interface SessionOptions {
  readonly endpoint: Endpoint;
  readonly env: Env;
  readonly home: string;
  readonly clock: Clock;
  /** Any folder of this package, from which a local server is started. */
  readonly packageDir: string;
  readonly token: string | undefined;
  /** Tells the user what the session does on its own: starting a server, waiting for a busy one. */
  readonly notify: (message: string) => void;
}

export interface CallOptions extends SendOptions {
  /** A busy server (503) is asked again (true unless said otherwise). */
  readonly retryBusy?: boolean;
  /** Whether the call may be sent again when the connection broke and the answer is unknown; `keyed`: if the server knows the key. */
  readonly repeatable?: boolean | "keyed";
  /** The caller reconnects on its own: socket errors are thrown as they are and no server is started. */
  readonly direct?: boolean;
}

const BUSY_LIMIT_MS = 600_000;
const BUSY_FIRST_WAIT_MS = 5000;
const BUSY_MAX_WAIT_MS = 25_000;
const HEALTH_TIMEOUT_MS = 2500;
const ANSWER_TIMEOUT_MS = 60_000;
const RECONNECT_ATTEMPTS = 3;

/** Everything between "call this path" and the socket: versions, login, a busy or missing server. */
export class Session {
  readonly endpoint: Endpoint;
  readonly options: SessionOptions;
  readonly transport: Transport;
  /** Whether the server knows our additions to the wire; known after the first answer. */
  isOurServer = false;
  #started: Promise<unknown> | undefined;

  constructor(options: SessionOptions) {
    this.options = options;
    this.endpoint = options.endpoint;
    this.transport = new Transport({ url: options.endpoint.url, headers: this.#headers(), env: options.env });
  }

  /** Sends and checks the answer: anything but 2xx is thrown as the error that it describes. */
  async call(method: "GET" | "POST", path: string, options: CallOptions = {}): Promise<Answer> {
    const answer = await this.raw(method, path, options);
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw await this.#errorOf(answer, path);
  }

  /** Like {@link call}, without a look at the status. Starts a local server when nothing listens. */
  async raw(method: "GET" | "POST", path: string, options: CallOptions = {}): Promise<Answer> {
    const limit = this.options.clock.now() + BUSY_LIMIT_MS;
    let wait = BUSY_FIRST_WAIT_MS;
    while (true) {
      const answer = await (options.direct === true
        ? this.transport.send(method, path, options)
        : this.#connected(method, path, options));
      if (answer.status !== 503 || options.retryBusy === false || this.options.clock.now() + wait > limit) {
        this.#inspect(answer);
        return answer;
      }
      const detail = (await readText(answer)).slice(0, 500);
      this.options.notify(`API server is temporarily unavailable: ${detail}.\nRetrying...`);
      await this.options.clock.sleep(wait, options.signal === undefined ? {} : { signal: options.signal });
      wait = Math.min(wait * 5, BUSY_MAX_WAIT_MS);
    }
  }

  /** A synchronous endpoint: the body of the answer, parsed. */
  async json<T>(method: "GET" | "POST", path: string, options: CallOptions = {}): Promise<T> {
    return JSON.parse(await readText(await this.call(method, path, options))) as T;
  }

  /** Asks for the server's health without starting one. Rejects with the socket's error. */
  async health(signal?: AbortSignal): Promise<Health> {
    const answer = await this.transport.send("GET", "/api/health", { timeoutMs: HEALTH_TIMEOUT_MS, signal });
    const text = await readText(answer);
    if (answer.status === 401 || (answer.status >= 300 && answer.status < 400)) return { status: "needs_auth" };
    if (answer.status === 503) throw errorOfAnswer(answer.status, "/api/health", text);
    if (answer.status !== 200) throw this.#foreign(`it answered /api/health with ${answer.status}`);
    try {
      return JSON.parse(text) as Health;
    } catch (error) {
      throw this.#foreign("its answer to /api/health is not JSON", error);
    }
  }

  #foreign(why: string, cause?: unknown): ApiServerConnectionError {
    return new ApiServerConnectionError(`${this.endpoint.url} is not a SkyPilot API server: ${why}.`, {
      cause,
      hint: this.endpoint.local
        ? "another program listens on this port; choose one for sky with SKYPILOT_API_SERVER_LOCAL_PORT"
        : "check the address, or log in again: sky api login -e <endpoint>",
    });
  }

  /** Carries an SSH connection to a node of a cluster; resolves when it is over. */
  async tunnelSsh(target: SshTunnelTarget): Promise<void> {
    const { runSshTunnel } = await import("./ssh-tunnel.ts");
    // Starts the local server where that is needed, and says what is wrong with a remote one.
    discard(await this.call("GET", "/api/health", { repeatable: true }));
    const agent = await this.transport.agent();
    await runSshTunnel({ ...target, url: this.endpoint.url, headers: this.#headers(), agent });
  }

  async close(): Promise<void> {
    await this.transport.close();
  }

  #headers(): Record<string, string> {
    const { env, home, token, endpoint, clock } = this.options;
    const headers: Record<string, string> = {
      "X-SkyPilot-API-Version": String(API_VERSION),
      "X-SkyPilot-Version": CLIENT_VERSION,
    };
    const clientType = readVariable(env, "SKYPILOT_CLIENT_TYPE");
    if (clientType !== undefined) headers["X-SkyPilot-Client-Type"] = clientType;
    if (token !== undefined) headers["Authorization"] = `Bearer ${token}`;
    else if (endpoint.credentials !== undefined) {
      headers["Authorization"] = `Basic ${Buffer.from(endpoint.credentials).toString("base64")}`;
    } else if (!endpoint.local) {
      const cookie = URL.canParse(endpoint.url)
        ? loadCookieHeader(cookieFile(env, home), new URL(endpoint.url), clock.now())
        : undefined;
      if (cookie !== undefined) headers["Cookie"] = cookie;
    }
    return headers;
  }

  async #connected(method: "GET" | "POST", path: string, options: CallOptions): Promise<Answer> {
    let left = (options.repeatable ?? false) === false ? 0 : RECONNECT_ATTEMPTS;
    while (true) {
      try {
        return await this.transport.send(method, path, { timeoutMs: ANSWER_TIMEOUT_MS, ...options });
      } catch (error) {
        if (options.signal?.aborted === true || error instanceof SkyError) throw error;
        if (isRefused(error)) {
          if (!this.endpoint.local || left < 0) throw this.unreachable(error);
          await this.startServer(options.signal);
          left -= 1;
        } else if (left > 0 && isConnectionLost(error) && (await this.#mayRepeat(options))) {
          left -= 1;
        } else throw this.unreachable(error);
      }
    }
  }

  /** Another server would start the operation twice; which one this is shows any answer, of a restarted server too. */
  async #mayRepeat(options: CallOptions): Promise<boolean> {
    if (options.repeatable !== "keyed" || this.isOurServer) return true;
    const signal = options.signal === undefined ? {} : { signal: options.signal };
    discard(await this.raw("GET", "/api/health", { repeatable: true, ...signal }));
    return this.isOurServer;
  }

  /** Starts the local server, once however many calls find it missing. */
  async startServer(signal?: AbortSignal): Promise<void> {
    this.#started ??= this.#start(signal).finally(() => (this.#started = undefined));
    await this.#started;
  }

  async #start(signal: AbortSignal | undefined): Promise<void> {
    const { startLocalServer } = await import("./local-server.ts");
    const { env } = this.options;
    if (!isSet(env, "SKYPILOT_DISABLE_LOCAL_API_SERVER")) {
      this.options.notify(`Failed to connect to SkyPilot API server at ${this.endpoint.url}. Starting a local server.`);
    }
    await startLocalServer({
      ...this.options,
      // The server outlives this command, and each request brings its own: the first shell's keys must not stay for all.
      env: withoutAwsIdentity(this.options.env),
      port: this.endpoint.port,
      probe: () => this.probe(signal),
      signal,
    });
    this.options.notify("✓ SkyPilot API server started. ");
  }

  /** Whether the server answers, is slow, or is not there. */
  async probe(signal?: AbortSignal): Promise<"healthy" | "refused" | "slow"> {
    try {
      await this.health(signal);
      return "healthy";
    } catch (error) {
      if (signal?.aborted === true || error instanceof SkyError) throw error;
      return isRefused(error) ? "refused" : "slow";
    }
  }

  /** The error for a server that cannot be reached. */
  unreachable(cause: unknown): ApiServerConnectionError {
    const detail = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code || "" : "";
    const shown = detail === "" ? "" : ` (${detail})`;
    return new ApiServerConnectionError(`Could not connect to SkyPilot API server at ${this.endpoint.url}${shown}.`, {
      cause,
      hint: this.endpoint.local
        ? "look at ~/.sky/ts/server.log, or start the server anew: sky api stop; sky api start"
        : `check the address, or log in again: sky api login --relogin -e ${this.endpoint.url}`,
    });
  }

  /** Learns from the headers whom we talk to. */
  #inspect(answer: Answer): void {
    if (answer.headers["x-skypilot-server"] === "ts") this.isOurServer = true;
    const version = answer.headers["x-skypilot-api-version"];
    if (version === undefined || Number(version) >= MIN_COMPATIBLE_API_VERSION) return;
    discard(answer);
    throw new ApiVersionMismatchError(
      `Your SkyPilot API server version is too old: ${String(answer.headers["x-skypilot-version"])}\nThe client is running on ${CLIENT_VERSION} and the minimum compatible version is ${MIN_COMPATIBLE_VERSION}.`,
      { hint: "ask the administrator to upgrade the API server" },
    );
  }

  async #errorOf(answer: Answer, path: string): Promise<SkyError> {
    const text = await readText(answer);
    if (answer.status >= 300 && answer.status < 400) {
      return new PermissionDeniedError(`The API server at ${this.endpoint.url} asks for a login.`, {
        hint: `sky api login -e ${this.endpoint.url}`,
      });
    }
    if (answer.headers["x-skypilot-api-version"] === undefined && answer.status === 404) {
      return new ApiServerConnectionError(`${this.endpoint.url} is not a SkyPilot API server.`);
    }
    return errorOfAnswer(answer.status, path, text);
  }
}

/** Nothing listens there: the request was certainly not received. */
export function isRefused(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === "ECONNREFUSED";
}

/** The connection broke, or no answer came in time: the request may have been received. */
export function isConnectionLost(error: unknown): boolean {
  const { code, name } = (error ?? {}) as { code?: string; name?: string };
  if (name === "TimeoutError") return true;
  return ["ECONNRESET", "EPIPE", "ETIMEDOUT", "ECONNABORTED", "ERR_STREAM_PREMATURE_CLOSE"].includes(code ?? "");
}
