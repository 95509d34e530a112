import type { Kysely } from "kysely";
import type { Effect, Operation, RequestControl, RequestLog } from "../../core/operation.ts";
import type { OperationContext } from "../../core/operation.ts";
import type { PassFailpoint } from "../../core/effect.ts";
import type { Database } from "../../db/schema.ts";
import type { OpenDatabase } from "../../db/database.ts";
import type { ScheduleType } from "../../db/queries/requests.ts";
import type { Clock } from "../../shared/clock.ts";
import type { CommonBody } from "../../shared/wire/body-fields.ts";
import type { RequestEvents } from "./request-events.ts";
import type { Sealer } from "./sealer.ts";

/** An operation whose body type the queue does not know; the route has validated the body with the schema that belongs to it. */
export type AnyOperation = Operation<never, unknown> & {
  /** Under the short schedule it only reads our own state, so that it may begin before its row is stored. */
  readonly isReadOnly?: boolean;
};

export type OperationBody = Readonly<Partial<CommonBody> & Record<string, unknown>>;

export interface RequestCaller {
  readonly userId: string;
  readonly userName: string;
}

/** What a request needs to run; stored sealed while it may have to run again. */
export interface RequestInput {
  readonly body: OperationBody;
  readonly caller: RequestCaller;
  /** Whether the client runs on this machine as this user: then its paths and credentials are ours too. */
  readonly isLocalClient: boolean;
  readonly clientApiVersion: number | null;
}

export interface Submission extends RequestInput {
  readonly requestId: string;
  /** Whether the client chose the id, so that it may be known already. */
  readonly isRepeatable: boolean;
  readonly operation: AnyOperation;
  readonly schedule: ScheduleType;
  readonly clusterName: string | null;
}

/** What the queue hands over for the operation's context. */
export interface RunInfo {
  readonly requestId: string;
  readonly input: RequestInput;
  readonly log: RequestLog;
  readonly signal: AbortSignal;
  readonly effect: Effect;
  readonly requests: RequestControl;
  readonly db: Kysely<Database>;
}

export interface QueueOptions {
  readonly database: OpenDatabase;
  readonly operations: Readonly<Record<string, AnyOperation>>;
  /** Rejects with a SkyError when the request cannot run as asked, e.g. for an invalid config. */
  readonly createContext: (run: RunInfo) => Promise<OperationContext>;
  readonly events: RequestEvents;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly logDirectory: string;
  /** Names this server process among replicas: see server-identity.ts. */
  readonly owner: string;
  readonly limits: Readonly<Record<ScheduleType, number>>;
  /** Called for errors that are bugs, and for work that goes on in the background. */
  readonly onInternalError: (error: unknown, requestId: string) => void;
  readonly passFailpoint?: PassFailpoint;
}
