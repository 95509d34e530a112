import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Writable } from "node:stream";
import { AgentError } from "../../shared/errors.ts";
import { encode, type Codec } from "../runtime/codec.ts";
import { pinnedRuntimes, type NodeArch } from "../runtime/pinned.ts";
import type { RuntimeSource } from "../runtime/source.ts";
import type { SessionOptions, SshConnections, SshSession } from "./connections.ts";
import { explainRefusal } from "./install-failure.ts";
import { installScript } from "./install-script.ts";
import type { SshTarget } from "./target.ts";
import { TAR_END, tarFile, tarHeader, tarPadding } from "./tar.ts";

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
    await talk.send(need.codec, archive(need, request, tools.runtimes));
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

  /** When the host stops to read, what it printed says why. */
  async send(codec: Codec, content: AsyncIterable<Uint8Array>): Promise<void> {
    const { stdin } = this.session.child;
    stdin.write(`go ${codec}\n`);
    for await (const bytes of content) if (!(await hasWritten(stdin, bytes))) break;
    stdin.end();
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

/** A tar archive of what is lacking and of the request's files, encoded. Bytes are valid until the next ones are asked for. */
async function* archive(
  { arch, bundle, runtime, codec }: Need,
  request: InstallRequest,
  runtimes: RuntimeSource,
): AsyncGenerator<Uint8Array, void> {
  const files = request.files.map(({ name, bytes }) => tarFile(name, 0o600, bytes));
  if (bundle) files.push(tarFile("bundle", 0o644, readFileSync(request.bundle.path)));
  const { size } = pinnedRuntimes[arch];
  if (runtime) files.push(tarHeader({ name: "runtime", mode: 0o755, size }));
  yield await encode(Buffer.concat(files), codec);
  // It is encoded once for all hosts; encodings follow each other as what they encode does.
  if (runtime) yield* runtimes.read(arch, codec);
  yield await encode(Buffer.concat([tarPadding(runtime ? size : 0), TAR_END]), codec);
}

/** Resolves when the bytes were taken, with false when nobody takes them. */
function hasWritten(stream: Writable, bytes: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => void stream.write(bytes, (error) => resolve(error === null || error === undefined)));
}

async function readResult(talk: Talk): Promise<readonly string[]> {
  const lines: string[] = [];
  for (;;) {
    const line = await talk.next();
    if (line === "ok") return lines;
    lines.push(line);
  }
}
