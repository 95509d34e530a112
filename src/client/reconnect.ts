import { hasServerLeftTraces } from "../platform/server-pid-file.ts";
import { skyPaths } from "../platform/paths.ts";
import { isConnectionLost, isRefused, type Session } from "./session.ts";

const FIRST_WAIT_MS = 100;
const MAX_WAIT_MS = 2000;
const MAX_ATTEMPTS = 15;
/** After that many refusals (about 9 s) nobody else restarts a local server that died. */
const START_AFTER_ATTEMPTS = 8;

/** Counts the failures in a row of one stream or wait, and waits longer each time. */
export class Reconnector {
  readonly #session: Session;
  readonly #signal: AbortSignal | undefined;
  #attempt = 0;

  constructor(session: Session, signal: AbortSignal | undefined) {
    this.#session = session;
    this.#signal = signal;
  }

  /** Called with whatever arrived: the connection works. */
  succeeded(): void {
    this.#attempt = 0;
  }

  /** Waits before the next attempt; throws `error` when it is not about the connection, or after too many attempts. */
  async waitAfter(error: unknown): Promise<void> {
    const refused = isRefused(error);
    // The socket's own error says only "aborted"; the reason says by whom.
    this.#signal?.throwIfAborted();
    if (!refused && !isConnectionLost(error)) throw error;
    if (this.#attempt >= MAX_ATTEMPTS) throw this.#session.unreachable(error);
    const wait = Math.min(FIRST_WAIT_MS * 2 ** this.#attempt, MAX_WAIT_MS);
    this.#attempt += 1;
    const { clock, home } = this.#session.options;
    await clock.sleep(wait, this.#signal === undefined ? {} : { signal: this.#signal });
    // A server that was stopped removes its pid file and stays stopped; one that died is started again.
    const died = refused && this.#session.endpoint.local && hasServerLeftTraces(skyPaths(home).serverPid);
    if (died && this.#attempt >= START_AFTER_ATTEMPTS) await this.#session.startServer(this.#signal);
  }
}
