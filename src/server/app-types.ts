import type { IncomingMessage, ServerResponse } from "node:http";
import type { Kysely } from "kysely";
import type { Catalogs } from "../catalog/catalogs.ts";
import type { OperationContext } from "../core/operation.ts";
import type { Database } from "../db/schema.ts";
import type { ServerPaths } from "../platform/server-paths.ts";
import type { Clock } from "../shared/clock.ts";
import type { AccessPolicy } from "./guard.ts";
import type { RequestEvents } from "./requests/request-events.ts";
import type { RequestQueue } from "./requests/request-queue.ts";
import type { AnyOperation, RequestCaller, RunInfo } from "./requests/types.ts";
import type { UserDirectory } from "./users.ts";

/** What the routes work with. */
export interface AppDependencies {
  readonly queue: RequestQueue;
  readonly events: RequestEvents;
  readonly db: Kysely<Database>;
  readonly catalogs: Catalogs;
  readonly operations: Readonly<Record<string, AnyOperation>>;
  readonly createContext: (run: RunInfo) => Promise<OperationContext>;
  readonly users: UserDirectory;
  readonly paths: ServerPaths;
  readonly policy: AccessPolicy;
  readonly clock: Clock;
  /** Identity of the server's own user, for calls that name nobody. */
  readonly self: RequestCaller;
  /** Bytes that all chunks of one upload may have together. */
  readonly maxUploadBytes: number;
  readonly onInternalError: (error: unknown, requestId: string) => void;
  /** Aborts when the server stops; streams then end. */
  readonly stopping: AbortSignal;
}

export interface AppEnv {
  /** Node's own objects; absent when a test calls the application without a socket. */
  Bindings: { incoming?: IncomingMessage; outgoing?: ServerResponse };
  Variables: { requestId: string };
}
