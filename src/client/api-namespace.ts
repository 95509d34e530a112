import { submit, type WaitOptions } from "./operations.ts";
import type { Request } from "./request.ts";
import { resumableEvents, type OpenedStream } from "./resumable-stream.ts";
import type { StreamEvent } from "./stream-decoder.ts";
import type { SkyClient } from "./sky-client.ts";
import type { Health, RequestPayload } from "./wire-types.ts";

export interface RequestListOptions {
  /** Ids or unique beginnings. */
  readonly ids?: readonly string[];
  /** Includes requests that have ended. */
  readonly all?: boolean;
  readonly limit?: number | undefined;
  readonly cluster?: string | undefined;
  readonly fields?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

export interface ServerLogOptions {
  readonly requestId?: string;
  readonly logPath?: string;
  readonly follow?: boolean;
  readonly tail?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CancelRequestsOptions extends WaitOptions {
  /** Ids or unique beginnings; all of the user's without it. */
  readonly ids?: readonly string[];
  readonly allUsers?: boolean;
}

/** Requests and the server itself. */
export class ApiNamespace {
  readonly #client: SkyClient;

  constructor(client: SkyClient) {
    this.#client = client;
  }

  /** The server's health and version. Starts no server; rejects with the socket's error when none answers. */
  info(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<Health> {
    return this.#client.session.health(options.signal);
  }

  status(options: RequestListOptions = {}): Promise<readonly RequestPayload[]> {
    return this.#client.session.json("GET", "/api/status", {
      query: {
        request_ids: options.ids,
        all_status: options.all === true ? "True" : "False",
        limit: options.limit,
        cluster_name: options.cluster,
        fields: options.fields,
      },
      repeatable: true,
      signal: options.signal,
    });
  }

  /** Cancels requests; gives the ids of those that were. */
  cancel(options: CancelRequestsOptions = {}): Request<readonly string[]> {
    const body = this.#client.body({});
    const variables = body["env_vars"] as Record<string, string>;
    const everyone = options.allUsers === true || options.ids !== undefined;
    return submit(
      this.#client.session,
      "/api/cancel",
      { ...body, request_ids: options.ids ?? null, user_id: everyone ? null : variables["SKYPILOT_USER_ID"] },
      { name: "sky.api_cancel", ...options },
    );
  }

  /** The log of a request or a log file of the server. */
  logs(options: ServerLogOptions): AsyncGenerator<StreamEvent, void, void> {
    const { session } = this.#client;
    const open = async (resumeAt: number | undefined): Promise<OpenedStream> => {
      const canResume = session.isOurServer && options.requestId !== undefined && options.tail === undefined;
      const answer = await session.call("GET", "/api/stream", {
        query: {
          request_id: options.requestId,
          log_path: options.logPath,
          tail: options.tail,
          follow: options.follow === false ? "False" : "True",
          format: "console",
          offset: canResume ? (resumeAt ?? 0) : undefined,
        },
        repeatable: true,
        signal: options.signal,
      });
      const startsAt = answer.headers["x-skypilot-log-offset"];
      return { answer, startsAt: typeof startsAt === "string" ? Number(startsAt) : undefined };
    };
    return resumableEvents(session, open, options.signal);
  }
}
