import { statSync } from "node:fs";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream/promises";
import { AgentError } from "../../shared/errors.ts";
import type { NodeArch } from "../runtime/pinned.ts";
import type { Codec, RuntimeSource } from "../runtime/source.ts";
import type { SessionOptions, SshConnections, SshSession } from "./connections.ts";
import { explainRefusal } from "./install-failure.ts";
import { installScript } from "./install-script.ts";
import type { SshTarget } from "./target.ts";
import { writeTar, type TarEntry } from "./tar.ts";

/** A link that takes longer for an answer is taken for one on which fewer bytes matter more than the CPU time of gzip. */
const FAR_MS = 15;

export interface InstallRequest {
  /** As `installScript` takes it. */
  readonly installDir: string | undefined;
  readonly bundle: { readonly path: string; readonly hash: string };
  /** Whether the node may fetch the runtime from the registry by itself. */
  readonly mayFetch: boolean;
  /** More files for `script`, which finds them in `$T`. */
  readonly files: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  /** A script that runs when everything is in place; it says `ok` when it is done, and may print lines before. */
  readonly script: string;
}

export interface InstallTools {
  readonly connections: SshConnections;
  readonly runtimes: RuntimeSource;
}

/**
 * Puts runtime and agent program in place on a host, unless they are there, and runs a script then: one round trip, and one more for
 * the content. Answers with the lines that the script printed before its `ok`. Throws AgentError, OperationFailedError.
 */
export async function installOn(
  target: SshTarget,
  request: InstallRequest,
  tools: InstallTools,
  options: SessionOptions = {},
): Promise<readonly string[]> {
  const { installDir, bundle, mayFetch } = request;
  const registry = mayFetch ? tools.runtimes.registry : undefined;
  const install = installScript({ installDir, bundleHash: bundle.hash, registry });
  const session = await tools.connections.open(target, `${install}\n${request.script}`, options);
  const talk = new Talk(session, target);
  try {
    const need = await readNeed(talk);
    await talk.send(await tarEntries(need, request, tools.runtimes));
    return await readResult(talk);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    talk.close();
  }
}

/** A conversation in lines with a script. */
class Talk {
  readonly session: SshSession;
  readonly target: SshTarget;
  readonly #lines: AsyncIterator<string>;

  constructor(session: SshSession, target: SshTarget) {
    this.session = session;
    this.target = target;
    this.#lines = createInterface({ input: session.child.stdout })[Symbol.asyncIterator]();
  }

  /** The next line; throws what the script or ssh says when there is none. */
  async next(): Promise<string> {
    const { value: line, done } = await this.#lines.next();
    if (done === true) throw await this.#failure();
    if (line.startsWith("fail ")) throw explainRefusal(line.slice("fail ".length).trim(), this.target.host);
    return line;
  }

  async ping(): Promise<number> {
    const start = performance.now();
    this.session.child.stdin.write("ping\n");
    await this.next();
    return performance.now() - start;
  }

  async send(entries: readonly TarEntry[]): Promise<void> {
    const { stdin } = this.session.child;
    stdin.write("go\n");
    // When the host stops to read, what it printed says why.
    await pipeline(writeTar(entries), stdin).catch(async (error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== "EPIPE" && !stdin.destroyed) throw error;
      await this.next();
    });
  }

  close(): void {
    this.session.child.stdin.destroy();
    this.session.child.stdout.destroy();
  }

  async #failure(): Promise<AgentError> {
    const code = await this.session.exited;
    const said = this.session.scriptErrors().trim();
    const what = code === 255 ? "The SSH connection was lost" : `The set-up script ended with exit code ${code}`;
    return new AgentError(`${what} while ${this.target.host} was prepared.`, said === "" ? {} : { hint: said });
  }
}

interface Need {
  readonly arch: NodeArch;
  readonly bundle: boolean;
  readonly runtime: boolean;
  readonly codec: Codec;
}

async function readNeed(talk: Talk): Promise<Need> {
  const words = (await talk.next()).split(" ");
  const runtime = words.includes("runtime");
  return {
    arch: words[1] === "arm64" ? "arm64" : "x64",
    bundle: words.includes("bundle"),
    runtime,
    codec: runtime ? await chooseCodec(words, talk) : "raw",
  };
}

/** zstd costs the node 0.4 s and saves two thirds of the bytes; gzip saves as much but costs 2 s. */
async function chooseCodec(words: readonly string[], talk: Talk): Promise<Codec> {
  if (words.includes("zstd")) return "zstd";
  return words.includes("gzip") && (await talk.ping()) > FAR_MS ? "gzip" : "raw";
}

async function tarEntries(need: Need, request: InstallRequest, runtimes: RuntimeSource): Promise<readonly TarEntry[]> {
  const entries: TarEntry[] = request.files.map(({ name, bytes }) => ({
    name,
    mode: 0o600,
    size: bytes.length,
    content: bytes,
  }));
  if (need.bundle) {
    const { path } = request.bundle;
    entries.push({ name: "bundle", mode: 0o644, size: statSync(path).size, content: path });
  }
  if (need.runtime) {
    const { path, size } = await runtimes.get(need.arch, need.codec);
    entries.push({
      name: need.codec === "raw" ? "runtime" : `runtime.${need.codec}`,
      mode: 0o755,
      size,
      content: path,
    });
  }
  return entries;
}

async function readResult(talk: Talk): Promise<readonly string[]> {
  const lines: string[] = [];
  for (;;) {
    const line = await talk.next();
    if (line === "ok") return lines;
    lines.push(line);
  }
}
