import { createInterface } from "node:readline";
import type { AgentBundle } from "../../platform/agent-bundle.ts";
import type { HostAnswer, HostGreeting, HostVerb, HostVerbs } from "../../shared/agent/host.ts";
import { AgentError } from "../../shared/errors.ts";
import type { SshConnections, SshSession } from "./connections.ts";
import { explainRefusal } from "./install-failure.ts";
import { withWaitSignal } from "./outlive.ts";
import { NEED, serveScript } from "./serve-script.ts";
import type { SshTarget } from "./target.ts";

/** How long the login's profile may take. */
const START_MS = 30_000;

export interface ProgramPlace {
  readonly target: SshTarget;
  /** As `installScript` takes it. */
  readonly installDir: string | undefined;
  readonly bundle: AgentBundle;
}

/** The connection went away before an answer came. */
export class HostLostError extends AgentError {}

/** Our program on a host, at the other end of an SSH session: it is asked one thing at a time. */
export class HostProgram {
  /** Where our things are on the host. */
  readonly base: string;
  readonly #session: SshSession;
  readonly #lines: Lines;

  private constructor(session: SshSession, lines: Lines, base: string) {
    this.#session = session;
    this.#lines = lines;
    this.base = base;
  }

  /** Undefined when the host lacks the runtime or the program. Throws AgentError when it cannot be reached, or its profile does not end. */
  static open(
    { target, installDir, bundle }: ProgramPlace,
    connections: SshConnections,
    signal: AbortSignal,
  ): Promise<HostProgram | undefined> {
    return withWaitSignal(signal, async (waitSignal) => {
      const script = serveScript({ installDir, bundleHash: bundle.hash });
      const session = await connections.open(target, script, { signal: waitSignal });
      const lines = new Lines(session, target.host);
      const deadline = setTimeout(() => lines.close(), START_MS);
      try {
        const first = await lines.next();
        if (first !== NEED) return new HostProgram(session, lines, (JSON.parse(first) as HostGreeting).base);
        lines.close();
        return undefined;
      } catch (error) {
        waitSignal.throwIfAborted();
        throw lines.isClosed ? endlessProfile(target.host) : error;
      } finally {
        clearTimeout(deadline);
      }
    });
  }

  /** Whether it can be asked something more. */
  get isOpen(): boolean {
    return !this.#lines.isClosed && this.#session.child.exitCode === null && this.#session.child.signalCode === null;
  }

  /** Throws HostLostError when the program is gone, AgentError when it refuses. A wait that is given up leaves it closed. */
  async ask<V extends HostVerb>(
    verb: V,
    params: HostVerbs[V]["params"],
    signal: AbortSignal,
  ): Promise<HostVerbs[V]["result"]> {
    signal.throwIfAborted();
    const close = (): void => this.close();
    signal.addEventListener("abort", close, { once: true });
    try {
      this.#session.child.stdin.write(`${JSON.stringify({ verb, params })}\n`);
      const answer = JSON.parse(await this.#lines.next()) as HostAnswer;
      if ("error" in answer) throw explainRefusal(answer.error, this.#lines.host);
      return answer.result as HostVerbs[V]["result"];
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", close);
    }
  }

  /** The program ends by that, unless it has become an agent. */
  close(): void {
    this.#lines.close();
  }
}

function endlessProfile(host: string): AgentError {
  return new AgentError(`The login's profile on ${host} does not come to an end.`, {
    hint: "Commands in ~/.profile or ~/.bash_profile must not wait for anything when no terminal is there.",
  });
}

/** What a session says, line by line. */
class Lines {
  readonly host: string;
  isClosed = false;
  readonly #session: SshSession;
  readonly #lines: string[] = [];
  #hasEnded = false;
  #wake: (() => void) | undefined;

  constructor(session: SshSession, host: string) {
    this.#session = session;
    this.host = host;
    const { stdout } = session.child;
    createInterface({ input: stdout }).on("line", (line) => {
      this.#lines.push(line);
      this.#wake?.();
    });
    // A stream that is destroyed closes without an end.
    stdout.once("close", () => {
      this.#hasEnded = true;
      this.#wake?.();
    });
  }

  async next(): Promise<string> {
    while (this.#lines.length === 0 && !this.#hasEnded) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const line = this.#lines.shift();
    if (line !== undefined) return line;
    const code = this.isClosed ? 255 : await this.#session.exited;
    const said = this.#session.scriptErrors().trim();
    const what = code === 255 ? "The SSH connection was lost" : `Our program ended with exit code ${code}`;
    throw new HostLostError(`${what} while ${this.host} was asked.`, said === "" ? {} : { hint: said });
  }

  close(): void {
    this.isClosed = true;
    this.#session.child.stdin.destroy();
    this.#session.child.stdout.destroy();
  }
}
