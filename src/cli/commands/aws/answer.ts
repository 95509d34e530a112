import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { SkyClient } from "../../../client/sky-client.ts";
import { runCloudCommand } from "../../../client/cloud-command.ts";
import { MissingFileError } from "../../../shared/errors.ts";
import type { Context } from "../../context.ts";
import { follow, waitFor } from "../../follow.ts";

export interface CloudCall {
  readonly cloud: string;
  readonly command: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** Shows what the server says while it works. */
  readonly isFollowed?: boolean;
}

/** Runs a cloud's own command and gives its answer. */
export async function askCloud(
  ctx: Context,
  client: SkyClient,
  call: CloudCall,
): Promise<Readonly<Record<string, unknown>>> {
  const { isFollowed, ...command } = call;
  const request = runCloudCommand(client, { ...command, signal: ctx.signal });
  const answer = isFollowed === true ? await follow(ctx, request) : await waitFor(ctx, request);
  return typeof answer === "object" && answer !== null ? (answer as Readonly<Record<string, unknown>>) : {};
}

/** The text that an answer brings along, for people. */
export function textOf(answer: Readonly<Record<string, unknown>>): string {
  return typeof answer["text"] === "string" ? `${answer["text"]}\n` : "";
}

/** Reads a task file for a command that only looks at it. Throws MissingFileError, YamlSyntaxError. */
export async function readTaskDocuments(ctx: Context, path: string): Promise<readonly unknown[]> {
  const { parseYamlDocuments } = await import("../../../shared/yaml.ts");
  const text = readText(resolve(ctx.cwd, path), path);
  return parseYamlDocuments(text, { file: path })
    .map((document) => document.value)
    .filter((value) => value !== null);
}

function readText(path: string, shown: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new MissingFileError(`The task file '${shown}' cannot be read.`, { cause: error });
  }
}
