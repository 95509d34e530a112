import { randomBytes } from "node:crypto";
import { existsSync, rmSync, watch } from "node:fs";
import type { Clock } from "../../shared/clock.ts";
import { AgentError, OperationFailedError } from "../../shared/errors.ts";
import { Slots } from "../../shared/slots.ts";
import { spawnWatched, type Watched } from "./child.ts";
import { ControlDir, type TargetFiles } from "./control-dir.ts";
import { explainFailure, SshError, toSshError, type SshFailureKind } from "./failure.ts";
import { encodeScript, markedScript, REMOTE_COMMAND } from "./remote-script.ts";
import { resolveTarget, type ResolvedTarget } from "./resolve.ts";
import { readUntilMarker } from "./marker.ts";
import { targetArguments, type SshTarget } from "./target.ts";

export interface SshConnectionsOptions {
  /** Folder for sockets; its path must be short, e.g. `/tmp/sky-ssh-1000`. */
  readonly controlDir: string;
  /** Environment of ssh and of proxy commands. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** 0…1, to spread repetitions. */
  readonly random: () => number;
  /** The OpenSSH client (`ssh`). */
  readonly program?: string;
}

/** A script that runs on a host. Its output begins after what the login printed. */
export interface SshSession extends Watched {
  /** Error output of the script, without what the login printed. */
  scriptErrors(): string;
}

export interface SessionOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long a machine that refuses, does not answer or does not know the key yet may still be booting. */
  readonly bootWaitMs?: number | undefined;
}

/** New connections that may be made at the same time: a handshake costs CPU here, and hosts have MaxStartups. */
const HANDSHAKES_AT_ONCE = 8;
const BUSY_TRIES = 8;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 3000;
const WHILE_BOOTING: ReadonlySet<SshFailureKind> = new Set(["busy", "down", "timeout", "denied", "lost", "proxy"]);

/**
 * Connections to hosts by the user's OpenSSH: one per target, over which all sessions run. It is made by the first session, stays for
 * two minutes after the last one, also when this process ends, and is found again by the next.
 */
export class SshConnections {
  readonly #options: SshConnectionsOptions;
  readonly #dir: ControlDir;
  readonly #program: string;
  readonly #handshakes = new Slots(HANDSHAKES_AT_ONCE);
  /** Connections that are being made, by their socket. */
  readonly #openings = new Map<string, Promise<void>>();

  constructor(options: SshConnectionsOptions) {
    this.#options = options;
    this.#dir = new ControlDir(options.controlDir);
    this.#program = options.program ?? "ssh";
  }

  /** Runs a POSIX sh script on the host. Rejects with SshError (an AgentError) when the host cannot be reached. */
  async open(target: SshTarget, script: string, options: SessionOptions = {}): Promise<SshSession> {
    const { clock, random } = this.#options;
    const deadline = clock.now() + (options.bootWaitMs ?? 0);
    for (let attempt = 1, pauseMs = FIRST_PAUSE_MS; ; attempt += 1) {
      options.signal?.throwIfAborted();
      try {
        return await this.#openOnce(target, script, options.signal);
      } catch (error) {
        if (!(error instanceof SshError) || options.signal?.aborted === true) throw error;
        const cause = await this.#lookCloser(error, target, options.signal);
        const { kind } = cause.failure;
        const isBusy = kind === "busy" && attempt < BUSY_TRIES;
        if (!isBusy && !(WHILE_BOOTING.has(kind) && clock.now() + pauseMs < deadline)) throw cause;
      }
      await clock.sleep(pauseMs * (0.5 + random()), options.signal === undefined ? {} : { signal: options.signal });
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
    }
  }

  /**
   * OpenSSH throws away what a proxy says when the connection is a shared one, and only tells that it closed. Asks once more without
   * sharing; answers with what then is known to be the cause.
   */
  async #lookCloser(error: SshError, target: SshTarget, signal: AbortSignal | undefined): Promise<SshError> {
    if (error.failure.kind !== "busy") return error;
    const { proxyJump, proxyCommand } = await this.resolve(target);
    if (proxyJump === undefined && proxyCommand === undefined) return error;
    const files = this.#dir.prepare(target);
    const alone = ["-o", "ControlPersist=no", ...targetArguments(target, { ...files, control: "none" })];
    const watched = spawnWatched(this.#program, [...alone, "--", target.host, "exit"], {
      env: this.#options.env,
      signal,
    });
    watched.child.stdin.end();
    watched.child.stdout.resume();
    const code = await watched.exited.catch(() => 0);
    signal?.throwIfAborted();
    return code === 255 ? toSshError(explainFailure(watched.stderr(), target), target) : error;
  }

  /** What the configuration files make of the target. */
  resolve(target: SshTarget): Promise<ResolvedTarget> {
    return resolveTarget(target, this.#dir.prepare(target), { program: this.#program, env: this.#options.env });
  }

  /** Ends the shared connection, and with it every session on it. */
  async close(target: SshTarget): Promise<void> {
    const files = this.#dir.prepare(target);
    if (!existsSync(files.control)) return;
    const args = [...targetArguments(target, files), "-O", "exit", "--", target.host];
    const { child, exited } = spawnWatched(this.#program, args, { env: this.#options.env });
    child.stdin.end();
    child.stdout.resume();
    await exited.catch(() => undefined);
    rmSync(files.control, { force: true });
  }

  async #openOnce(target: SshTarget, script: string, signal: AbortSignal | undefined): Promise<SshSession> {
    const files = this.#dir.prepare(target);
    const opening = this.#openings.get(files.control);
    if (opening !== undefined) {
      // What keeps one from the host keeps all from it; but that one gave up waiting is no reason for the others.
      await opening.catch((error: unknown) => {
        if (error instanceof AgentError) throw error;
      });
      return this.#openOnce(target, script, signal);
    }
    if (!existsSync(files.control)) return this.#openFirst({ target, files, script, signal });
    return this.#start({ target, files, script, signal });
  }

  /** The session that makes the connection: others wait for that, not for what the session does. */
  #openFirst(request: SessionRequest): Promise<SshSession> {
    const { control } = request.files;
    const result = Promise.withResolvers<SshSession>();
    const opening = this.#handshakes
      .run(async () => {
        const there = appears(control, this.#options.controlDir);
        try {
          const session = this.#start(request);
          session.then(result.resolve, result.reject);
          await Promise.race([session, there.promise]);
        } finally {
          there.stop();
        }
      })
      .finally(() => this.#openings.delete(control));
    this.#openings.set(control, opening);
    opening.catch((error: unknown) => result.reject(error));
    return result.promise;
  }

  async #start({ target, files, script, signal }: SessionRequest): Promise<SshSession> {
    const password = await this.#offerPassword(target, files);
    try {
      return await this.#startSession({ target, files, script, signal }, password.env);
    } finally {
      password.remove();
    }
  }

  async #offerPassword(target: SshTarget, files: TargetFiles) {
    if (target.password === undefined || existsSync(files.control)) return { env: {}, remove: () => undefined };
    // A host on the way may ask for a password too, and must not get this one.
    const resolved = await this.resolve(target);
    const isDirect = resolved.proxyJump === undefined && resolved.proxyCommand === undefined;
    return this.#dir.offerPassword(target, isDirect ? "" : `${resolved.user}@${resolved.hostName}`);
  }

  async #startSession(request: SessionRequest, variables: Readonly<Record<string, string>>): Promise<SshSession> {
    const { target, files, script, signal } = request;
    const marker = `SKY-${randomBytes(12).toString("hex")}`;
    const args = [...targetArguments(target, files), "--", target.host, REMOTE_COMMAND];
    const watched = spawnWatched(this.#program, args, { env: { ...this.#options.env, ...variables }, signal });
    const { child } = watched;
    child.stdin.write(encodeScript(markedScript(marker, script)));
    const hasBegun = await readUntilMarker(child.stdout, marker);
    if (hasBegun) return { ...watched, scriptErrors: () => afterMarker(watched.stderr(), marker) };
    const code = await watched.exited.catch((error: unknown) => {
      signal?.throwIfAborted();
      throw notStarted(this.#program, error);
    });
    signal?.throwIfAborted();
    throw this.#failureOf(watched.stderr(), code, target);
  }

  #failureOf(stderr: string, code: number, target: SshTarget): AgentError {
    if (code === 255) return toSshError(explainFailure(stderr, target), target);
    const said = stderr.trim().split("\n").slice(-3).join("\n");
    return new AgentError(`The login on ${target.host} ended with exit code ${code} before our first command ran.`, {
      hint: `Its start-up files must not exit or start another shell when no terminal is there.${said === "" ? "" : `\n${said}`}`,
    });
  }
}

interface SessionRequest {
  readonly target: SshTarget;
  readonly files: TargetFiles;
  readonly script: string;
  readonly signal: AbortSignal | undefined;
}

function afterMarker(text: string, marker: string): string {
  const at = text.indexOf(`\n${marker}\n`);
  return at === -1 ? text : text.slice(at + marker.length + 2);
}

/** Resolves when the file appears in the folder. */
function appears(path: string, directory: string): { readonly promise: Promise<void>; stop(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (): void => {
    if (existsSync(path)) resolve();
  };
  const watcher = watch(directory, look);
  // Without events, the end of the login says the same, only later.
  watcher.on("error", () => watcher.close());
  look();
  return { promise, stop: () => watcher.close() };
}

function notStarted(program: string, error: unknown): OperationFailedError {
  return new OperationFailedError(`The program ${program} cannot be started: ${(error as Error).message}`, {
    cause: error,
    hint: "Install the OpenSSH client on the machine that runs the API server, e.g. apt install openssh-client.",
  });
}
