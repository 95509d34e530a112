import { lstatSync, readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { SkyClient } from "../client/sky-client.ts";
import type { TaskDocument } from "../client/task-document.ts";
import type { TaskOverrides } from "../core/task/overrides.ts";
import type { Dag, Task } from "../core/task/task.ts";
import { expandHome } from "../platform/paths.ts";
import { InvalidValueError, UsageError } from "../shared/errors.ts";
import type { Context } from "./context.ts";
import type { Entrypoint } from "./entrypoint.ts";
import { makeColors } from "./render/colors.ts";

export interface CompiledTask {
  readonly document: TaskDocument;
  readonly numNodes: number;
  readonly hasService: boolean;
  readonly hasPool: boolean;
  readonly usesSpot: boolean;
}

/** The options that change a task, as the parser gives them. */
export interface TaskOptions extends Omit<TaskOverrides, "jobRecovery"> {
  readonly config: readonly string[];
  readonly workspace?: string | undefined;
  readonly env: readonly string[];
  readonly envFile: string | undefined;
  readonly secret: readonly string[];
  readonly secretFile: string | undefined;
}

/** Reads the task, applies the options and makes the document that is sent. */
export async function compileTask(
  entrypoint: Entrypoint,
  options: TaskOptions,
  client: SkyClient,
  ctx: Context,
  { workdirOnly = false }: { readonly workdirOnly?: boolean } = {},
): Promise<CompiledTask> {
  checkInfra(options, ctx);
  const [{ parseTaskYaml, makeCommandDag }, { applyOverrides }, { resolveTaskPaths }, { dumpDag }] = await Promise.all([
    import("../core/task/parse.ts"),
    import("../core/task/overrides.ts"),
    import("../core/task/paths.ts"),
    import("../core/task/dump.ts"),
  ]);
  const warn = (message: string): void => void ctx.err.write(`${message}\n`);
  const parseOptions = {
    envOverrides: await collectVariables("env", options, ctx),
    secretOverrides: await collectVariables("secret", options, ctx),
    configOverrides: await givenConfig(options, ctx),
    warn,
  };
  const parsed =
    entrypoint.kind === "yaml"
      ? parseTaskYaml(entrypoint.text, { ...parseOptions, file: entrypoint.shown })
      : makeCommandDag(entrypoint.kind === "command" ? entrypoint.command : undefined, parseOptions);
  const changed = applyOverrides(parsed, overridesOf(options), { warn });
  const files = { kindOf };
  const dag = resolveTaskPaths(changed, { cwd: ctx.cwd, home: ctx.home, files });
  const localPaths = [...new Set(dag.tasks.flatMap((task) => localPathsOf(task, workdirOnly)))];
  const sent = client.endpoint.local ? dag : withMappings(dag, workdirOnly);
  // A server on this machine sees them itself, and says so.
  if (!client.endpoint.local) tellLinks(localPaths, warn);
  return {
    document: { kind: "document", yaml: dumpDag(sent), localPaths },
    numNodes: dag.tasks[0]?.numNodes ?? 1,
    hasService: dag.tasks.some((task) => task.service !== undefined),
    hasPool: dag.tasks.some((task) => task.pool !== undefined),
    usesSpot: dag.tasks.some(usesSpot),
  };
}

function checkInfra(options: TaskOptions, ctx: Context): void {
  const { infra, cloud, region, zone } = options;
  if (cloud === undefined && region === undefined && zone === undefined) return;
  if (infra !== undefined) {
    throw new InvalidValueError("Cannot specify both --infra and --cloud, --region, or --zone.");
  }
  const { yellow } = makeColors(ctx.env, ctx.err.isTTY);
  const notice = "The --cloud, --region, and --zone options are deprecated. Use --infra instead.";
  ctx.err.write(`${yellow(notice)}\n`);
}

/** The options that are not the task's own are left out: what is undefined changes nothing. */
function overridesOf(options: TaskOptions): TaskOverrides {
  const { config: _c, workspace: _w, env: _e, envFile: _f, secret: _s, secretFile: _g, ...rest } = options;
  const { ports, down, ...others } = rest;
  const portList = ports === undefined || ports.length === 0 ? {} : { ports };
  return { ...others, ...portList, ...(down === true ? { down } : {}) };
}

async function collectVariables(
  kind: "env" | "secret",
  options: TaskOptions,
  ctx: Context,
): Promise<readonly (readonly [string, string | null])[]> {
  const file = kind === "env" ? options.envFile : options.secretFile;
  const given = kind === "env" ? options.env : options.secret;
  const fromFile = file === undefined ? [] : await readDotenv(file, ctx);
  return [...fromFile, ...given.map((text) => assignmentOf(text, ctx))];
}

async function readDotenv(file: string, ctx: Context): Promise<readonly (readonly [string, string | null])[]> {
  const { parseDotenv } = await import("../core/task/dotenv.ts");
  const path = resolve(ctx.cwd, expandHome(file, ctx.home));
  return [...parseDotenv(readFileSync(path, "utf8"), { env: ctx.env })];
}

function assignmentOf(text: string, ctx: Context): readonly [string, string] {
  const at = text.indexOf("=");
  const key = at === -1 ? text : text.slice(0, at);
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(key)) throw new InvalidValueError(`Invalid env key: ${key}`);
  if (at !== -1) return [key, text.slice(at + 1)];
  const value = ctx.env[key];
  if (value === undefined) throw new UsageError(`${key} is not set in local environment.`);
  return [key, value];
}

async function givenConfig(options: TaskOptions, ctx: Context): Promise<Readonly<Record<string, unknown>> | undefined> {
  if (options.config.length === 0) return undefined;
  const { loadConfigOverrides } = await import("./client-config.ts");
  return await loadConfigOverrides(ctx, { config: options.config });
}

function kindOf(path: string): "file" | "directory" | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  return stat.isDirectory() ? "directory" : "file";
}

function localPathsOf(task: Task, workdirOnly: boolean): readonly string[] {
  const workdir = task.workdir?.kind === "dir" ? [task.workdir.path] : [];
  if (workdirOnly) return workdir;
  const mounts = Object.values(task.fileMounts).filter(isLocal);
  const storages = Object.values(task.storageMounts).flatMap(({ source }) => source ?? []);
  return [...workdir, ...mounts, ...storages.filter(isLocal)];
}

function isLocal(path: string): boolean {
  return path.startsWith("/");
}

/** Sources that are links are sent as what they lead to. */
function tellLinks(paths: readonly string[], warn: (message: string) => void): void {
  const links = paths.filter((path) => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true);
  for (const path of links) warn(`Source path ${path} is a symlink. Its target's content is uploaded.`);
}

/** Says which of the server's files stands for which path of ours. */
function withMappings(dag: Dag, workdirOnly: boolean): Dag {
  const tasks = dag.tasks.map((task) => {
    const paths = localPathsOf(task, workdirOnly);
    if (paths.length === 0) return task;
    return { ...task, fileMountsMapping: Object.fromEntries(paths.map((path) => [path, path])) };
  });
  return { ...dag, tasks };
}

function usesSpot(task: Task): boolean {
  return task.resources.candidates.some((resources) => resources.useSpot === true);
}
