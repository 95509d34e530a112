import { readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { expandHome } from "../platform/paths.ts";
import { loadCrypto } from "../platform/random.ts";
import { InvalidConfigError, MissingFileError } from "../shared/errors.ts";
import { submit, type WaitOptions } from "./operations.ts";
import type { Request } from "./request.ts";
import type { SkyClient } from "./sky-client.ts";

/** Sets up (`deploy`) or clears (`down`) one pool, or all. */
export function setUpPools(
  client: SkyClient,
  action: "deploy" | "down",
  options: WaitOptions & { readonly infra?: string | undefined },
): Request<null> {
  const { infra, ...wait } = options;
  const name = action === "deploy" ? "sky.ssh_node_pools.up" : "sky.ssh_node_pools.down";
  if (infra === undefined)
    return submit(client.session, `/ssh_node_pools/${action}`, client.body({}), { name, ...wait });
  const pool = infra.replace(/^ssh\//, "");
  const path = `/ssh_node_pools/${encodeURIComponent(pool)}/${action}`;
  return submit(client.session, path, client.body({ infra: pool }), { name, ...wait });
}

export interface SendPools {
  readonly file: string;
  /** Only this pool of the file. */
  readonly infra?: string | undefined;
  readonly home: string;
  readonly cwd: string;
  readonly signal?: AbortSignal;
}

type Raw = Readonly<Record<string, unknown>>;

/** Gives the pools of a local file to the API server, their private keys included. Throws MissingFileError, InvalidConfigError. */
export async function sendPools(client: SkyClient, options: SendPools): Promise<void> {
  const path = resolve(options.cwd, expandHome(options.file, options.home));
  const pools = await readPoolFile(path, options.infra);
  const sent: Record<string, unknown> = {};
  for (const [name, pool] of Object.entries(pools)) {
    sent[name] = await withKeys(pool, keySender(client, name, options));
  }
  await client.session.call("POST", "/ssh_node_pools", { json: sent, repeatable: true, signal: options.signal });
}

async function readPoolFile(path: string, infra: string | undefined): Promise<Readonly<Record<string, Raw>>> {
  const { parseYaml } = await import("../shared/yaml.ts");
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new MissingFileError(
      `SSH Node Pool config file ${path} does not exist. Please check if the file exists and the path is correct.`,
      { cause: error },
    );
  }
  const value = parseYaml(text, { file: path })?.value;
  if (!isMap(value)) throw new InvalidConfigError(`${path} must map names of pools to pools.`);
  const all = value as Readonly<Record<string, Raw>>;
  const name = infra?.replace(/^ssh\//, "");
  if (name === undefined) return all;
  const pool = all[name];
  if (pool === undefined) throw new InvalidConfigError(`Cluster '${name}' not found in SSH Node Pools file ${path}`);
  return { [name]: pool };
}

function isMap(value: unknown): value is Raw {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The pool with each `identity_file` replaced by where the server keeps it. */
async function withKeys(value: unknown, send: (key: string) => Promise<string>): Promise<unknown> {
  if (Array.isArray(value)) return Promise.all(value.map((one) => withKeys(one, send)));
  if (!isMap(value)) return value;
  const entries = Object.entries(value).map(async ([key, inner]): Promise<[string, unknown]> => {
    const isKey = key === "identity_file" && typeof inner === "string" && inner !== "";
    return [key, isKey ? await send(inner) : await withKeys(inner, send)];
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** Sends each key file of a pool once, however many hosts use it, and tells where the server keeps it. */
function keySender(
  client: SkyClient,
  pool: string,
  { home, cwd, signal }: SendPools,
): (key: string) => Promise<string> {
  const sent = new Map<string, Promise<string>>();
  return (key) => {
    const file = resolve(cwd, expandHome(key, home));
    const known = sent.get(file);
    if (known !== undefined) return known;
    // Files of two directories may have one name.
    const prefix = sent.size === 0 ? pool : `${pool}-${sent.size + 1}`;
    const sending = sendKey(client, { name: `${prefix}-${basename(file)}`, file, signal });
    sent.set(file, sending);
    return sending;
  };
}

/** A server on this machine reads the key where it is. */
async function sendKey(
  client: SkyClient,
  key: { readonly name: string; readonly file: string; readonly signal: AbortSignal | undefined },
): Promise<string> {
  if (client.endpoint.local) return key.file;
  const boundary = `sky-${loadCrypto().randomUUID()}`;
  let content: string;
  try {
    content = readFileSync(key.file, "utf8");
  } catch (error) {
    throw new MissingFileError(`SSH key file not found: ${key.file}`, { cause: error });
  }
  const body = [
    `--${boundary}\r\nContent-Disposition: form-data; name="key_name"\r\n\r\n${key.name}\r\n`,
    `--${boundary}\r\nContent-Disposition: form-data; name="key_file"; filename="${key.name}"\r\n`,
    `Content-Type: application/octet-stream\r\n\r\n${content}\r\n--${boundary}--\r\n`,
  ].join("");
  const answer = await client.session.json<{ readonly key_path: string }>("POST", "/ssh_node_pools/keys", {
    body: Buffer.from(body),
    headers: { "Content-Type": `multipart/form-data; boundary=${boundary}` },
    signal: key.signal,
  });
  return answer.key_path;
}
