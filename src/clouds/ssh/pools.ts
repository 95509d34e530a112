import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expandHome } from "../../platform/paths.ts";
import { InvalidConfigError, MissingFileError } from "../../shared/errors.ts";
import { closestWord } from "../../shared/config/closest.ts";
import { Secret } from "../../shared/secret.ts";
import { parseYaml, type YamlDocument } from "../../shared/yaml.ts";

/** One machine of a pool. What is not given comes from the user's SSH configuration. */
export interface PoolHost {
  /** Address or `Host` of the SSH configuration; unique in the pool. */
  readonly host: string;
  readonly user?: string;
  /** Absolute path. */
  readonly identityFile?: string;
  readonly password?: Secret;
  /** Whether user and key are the pool's defaults, which a `Host` of the SSH configuration does not need. */
  readonly hasDefaults: boolean;
}

export interface Pool {
  readonly name: string;
  readonly hosts: readonly PoolHost[];
}

/** A file of the original: what it may hold, and nothing else. */
const POOL_KEYS = ["hosts", "user", "identity_file", "password"] as const;
const HOST_KEYS = ["ip", "user", "identity_file", "password", "use_ssh_config"] as const;

export function poolsFile(home: string): string {
  return join(home, ".sky", "ssh_node_pools.yaml");
}

/** Reads the pools; [] when there is no file. Throws InvalidConfigError with file, line and what is allowed. */
export function readPools(home: string): readonly Pool[] {
  const file = poolsFile(home);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new MissingFileError(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  return parsePools(text, { file, home });
}

export function parsePools(text: string, source: { readonly file: string; readonly home: string }): readonly Pool[] {
  const document = parseYaml(text, { file: source.file });
  if (document === undefined) return [];
  const reader = new Reader(document, source.file);
  return Object.entries(reader.map(document.value, [])).map(([name, value]) => {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
      throw reader.error([name], `'${name}' cannot be the name of a pool: use letters, digits, '.', '_' and '-'`);
    }
    if (name === "local") throw reader.error([name], "'local' is the name of this machine; give the pool another one");
    return parsePool(reader, { name, value, home: source.home });
  });
}

function parsePool(
  reader: Reader,
  pool: { readonly name: string; readonly value: unknown; readonly home: string },
): Pool {
  const { name, home } = pool;
  const fields = reader.map(pool.value, [name], POOL_KEYS);
  const hosts = fields["hosts"];
  if (!Array.isArray(hosts) || hosts.length === 0) {
    throw reader.error([name], `pool '${name}' has no hosts: list them under 'hosts'`);
  }
  const defaults = readLogin(reader, { fields, path: [name], home });
  const seen = new Set<string>();
  return {
    name,
    hosts: hosts.map((value: unknown, index) => {
      const path = [name, "hosts", index];
      const host = readHost(reader, { value, path, home, defaults });
      if (seen.has(host.host)) throw reader.error(path, `host '${host.host}' is in pool '${name}' twice`);
      seen.add(host.host);
      return host;
    }),
  };
}

type Login = Pick<PoolHost, "user" | "identityFile" | "password">;
type Path = readonly (string | number)[];

function readHost(
  reader: Reader,
  entry: { readonly value: unknown; readonly path: Path; readonly home: string; readonly defaults: Login },
): PoolHost {
  const { value, path, home, defaults } = entry;
  if (typeof value === "string") {
    return { host: hostName(reader, value, path), ...defaults, hasDefaults: true };
  }
  const fields = reader.map(value, path, HOST_KEYS);
  const own = readLogin(reader, { fields, path, home });
  const host = hostName(reader, reader.text(fields["ip"], [...path, "ip"]) ?? "", path);
  return { host, ...defaults, ...own, hasDefaults: own.user === undefined && own.identityFile === undefined };
}

function readLogin(
  reader: Reader,
  entry: { readonly fields: Readonly<Record<string, unknown>>; readonly path: Path; readonly home: string },
): Login {
  const { fields, path, home } = entry;
  const read = (key: string): string | undefined => reader.text(fields[key], [...path, key]);
  const [user, identity, password] = [read("user"), read("identity_file"), read("password")];
  if (user?.startsWith("-") === true) throw reader.error([...path, "user"], `'${user}' is not a user`);
  return {
    ...(user === undefined ? {} : { user }),
    ...(identity === undefined ? {} : { identityFile: expandHome(identity, home) }),
    ...(password === undefined ? {} : { password: new Secret(password) }),
  };
}

function hostName(reader: Reader, text: string, path: Path): string {
  const host = text.trim();
  // A name that begins with a dash would be an option of ssh.
  if (/^[A-Za-z0-9_.:[\]%][^\s'"`$;&|<>()\\]*$/.test(host)) return host;
  throw reader.error(
    path,
    host === "" ? "a host needs an 'ip' (address or name)" : `'${host}' is not an address or name`,
  );
}

/** Takes plain data apart and says where something is wrong. */
class Reader {
  readonly #document: YamlDocument;
  readonly #file: string;

  constructor(document: YamlDocument, file: string) {
    this.#document = document;
    this.#file = file;
  }

  map(value: unknown, path: Path, allowed?: readonly string[]): Readonly<Record<string, unknown>> {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw this.error(
        path,
        path.length === 0 ? "the file must map names of pools to pools" : "a map is expected here",
      );
    }
    const unknown = allowed === undefined ? undefined : Object.keys(value).find((key) => !allowed.includes(key));
    if (unknown === undefined || allowed === undefined) return value as Readonly<Record<string, unknown>>;
    const close = closestWord(unknown, allowed);
    const hint = close === undefined ? `allowed are ${allowed.join(", ")}` : `did you mean '${close}'?`;
    throw this.error([...path, unknown], `unknown key '${unknown}': ${hint}`);
  }

  /** A text that is not empty; undefined when the key is absent or null. */
  text(value: unknown, path: Path): string | undefined {
    if (value === undefined || value === null) return undefined;
    if (typeof value === "string" || typeof value === "number") return String(value) === "" ? undefined : String(value);
    throw this.error(path, "a text is expected here");
  }

  error(path: Path, what: string): InvalidConfigError {
    const place = this.#document.locate([...path]);
    const mark = place?.key ?? place?.value;
    const at = mark === undefined ? this.#file : `${this.#file}:${mark.line}`;
    return new InvalidConfigError(`${what}.\n  at ${at}`);
  }
}

/** Throws InvalidConfigError that names the pools that there are. */
export function findPool(pools: readonly Pool[], name: string, home: string): Pool {
  const pool = pools.find((one) => one.name === name);
  if (pool !== undefined) return pool;
  const names = pools.map((one) => one.name).join(", ");
  throw new InvalidConfigError(`Cluster '${name}' not found in SSH Node Pools file ${poolsFile(home)}`, {
    hint: names === "" ? "It lists no pools." : `It lists: ${names}.`,
  });
}
