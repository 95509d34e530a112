import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { expandHome } from "../platform/paths.ts";
import { InvalidConfigError, MissingFileError, NotAvailableYetError, SkyError } from "../shared/errors.ts";
import type { Machine } from "./context.ts";

/** What the words after the options stand for. */
export type Entrypoint =
  | { readonly kind: "none" }
  | { readonly kind: "command"; readonly command: string }
  | { readonly kind: "yaml"; readonly path: string; readonly text: string; readonly shown: string };

/** A task file is larger than any sensible one beyond this many bytes: it is then a program or data. */
const MAX_TASK_BYTES = 64 * 1024 * 1024;

/**
 * Decides whether the words are a task file or a command. Something that is named like a task file but cannot be read as one is an
 * error: nobody wants to run `nope.yaml` as a command.
 */
export async function resolveEntrypoint(words: readonly string[], machine: Machine): Promise<Entrypoint> {
  const joined = words.join(" ");
  if (joined.trim() === "") return { kind: "none" };
  if (joined.startsWith("recipes:")) throw new NotAvailableYetError("Recipes are not available yet in this version.");
  const namedYaml = words.length === 1 && !/\s/.test(joined) && /yaml$|\.yml$/.test(joined);
  const path = resolve(machine.cwd, expandHome(joined, machine.home));
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    if (namedYaml) throw looksLikeYaml(joined, "does not exist. Please check if the path is correct.");
    return { kind: "command", command: joined };
  }
  if (!stat.isFile()) {
    if (namedYaml) throw looksLikeYaml(joined, "is not a file. Please check if the path is correct.");
    return { kind: "command", command: joined };
  }
  if (stat.size > MAX_TASK_BYTES && !namedYaml) return { kind: "command", command: joined };
  return await readTask(joined, path, namedYaml);
}

async function readTask(shown: string, path: string, namedYaml: boolean): Promise<Entrypoint> {
  const bytes = readFileSync(path);
  const text = bytes.toString("utf8");
  if (!Buffer.from(text).equals(bytes)) {
    if (namedYaml) throw looksLikeYaml(shown, "is not a valid UTF-8 text file and cannot be parsed as YAML.");
    return { kind: "command", command: shown };
  }
  const { parseYamlDocuments } = await import("../shared/yaml.ts");
  try {
    const values = parseYamlDocuments(text, { file: shown }).map((document) => document.value);
    const isTask = values.length > 0 && values.every((value) => typeof value === "object");
    if (isTask || namedYaml) return { kind: "yaml", path, text, shown };
    return { kind: "command", command: shown };
  } catch (error) {
    if (!namedYaml && !/\.ya?ml$/.test(shown)) return { kind: "command", command: shown };
    if (!(error instanceof SkyError)) throw error;
    throw new InvalidConfigError(
      `'${shown}' looks like a yaml path but contains an invalid configuration. Please check syntax.\n\nYAML Error: ${error.message}`,
      { cause: error },
    );
  }
}

function looksLikeYaml(path: string, problem: string): MissingFileError {
  return new MissingFileError(`'${path}' looks like a yaml path but ${problem}`, {
    hint: "check the path; to run a command of that name, write it with its arguments in quotes",
  });
}
