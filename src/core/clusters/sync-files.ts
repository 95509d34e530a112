import { statSync } from "node:fs";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import { CommandError, InvalidValueError, MissingFileError } from "../../shared/errors.ts";
import { workAgain } from "../agents/again.ts";
import { GIT_WORKDIR_SCRIPT, gitWorkdirEnvironment, MOUNT_IN_THE_WAY } from "../files/git-workdir.ts";
import { tellLeftOut } from "../files/left-out.ts";
import { tellLink } from "../files/source-link.ts";
import { syncTree, type SyncRequest, type SyncSummary } from "../files/sync.ts";
import type { OperationContext } from "../operation.ts";
import { hasCopies } from "../storage/mounts.ts";
import { howToEnd, keepOutOfMounts, type StandingMounts } from "../storage/standing-mounts.ts";
import type { Task } from "../task/task.ts";
import { isCloudUri } from "../task/cloud-uri.ts";
import type { Cluster } from "./cluster.ts";
import * as messages from "./messages.ts";
import { openSyncLog, tellStep, type SyncLog } from "./sync-log.ts";
import { revealSecrets } from "./task-input.ts";

const WORKDIR = "~/sky_workdir";
const LARGE_BYTES = 256 * 1024 * 1024;

export interface FileSync {
  readonly cluster: Cluster;
  readonly agent: AgentPeer;
  readonly task: Task;
  readonly runTimestamp: string;
  readonly standing: StandingMounts;
}

/**
 * Looks once for what the task uploads, so that no node is brought up for a path with a typing error. Throws MissingFileError. When
 * the request goes on after a restart, what was uploaded before may be gone from the client.
 */
export async function requireSources(task: Pick<Task, "workdir" | "fileMounts">, context: OperationContext) {
  if (task.workdir?.kind !== "dir" && Object.keys(task.fileMounts).length === 0) return;
  await context.effect("check-sources", () => {
    lookForSources(task, context);
    return Promise.resolve();
  });
}

function lookForSources(task: Pick<Task, "workdir" | "fileMounts">, context: OperationContext): void {
  const { workdir } = task;
  if (workdir?.kind === "dir") {
    const source = context.resolveClientPath(workdir.path);
    if (statSync(source, { throwIfNoEntry: false })?.isDirectory() !== true) {
      throw new MissingFileError(
        `Workdir must be a valid directory (or a symlink to a directory). ${workdir.path} not found.`,
        { hint: "Check the path; it is looked for on the machine of the client." },
      );
    }
  }
  for (const [, path] of localMounts(task)) requireMountSource(path, context);
}

/** Mounts of files and directories on the client's machine; buckets and files of the web are `storage/`'s. */
function localMounts(task: Pick<Task, "fileMounts">): readonly (readonly [dest: string, path: string])[] {
  return Object.entries(task.fileMounts).filter(([, source]) => !isCloudUri(source));
}

function requireMountSource(path: string, context: OperationContext): string {
  const source = context.resolveClientPath(path);
  if (statSync(source, { throwIfNoEntry: false }) !== undefined) return source;
  throw new MissingFileError(
    `File mount source '${path}' does not exist locally. To fix: check if it exists, and correct the path.`,
  );
}

/** Brings the workdir to every node. The answer goes into the job's metadata. */
export async function syncWorkdir(
  sync: FileSync,
  context: OperationContext,
): Promise<Readonly<Record<string, unknown>>> {
  const { workdir } = sync.task;
  if (workdir === undefined) return {};
  const log = openSyncLog(sync, "workdir_sync.log", context);
  const source = workdir.kind === "dir" ? context.resolveClientPath(workdir.path) : workdir.url;
  tellStep(
    log,
    `Syncing workdir (to ${messages.nodesText(sync.cluster.row.num_nodes)}): ${source} -> ${WORKDIR}`,
    context,
  );
  context.log.spin(messages.spinner("Syncing workdir", log.hint));
  const metadata =
    workdir.kind === "git"
      ? await cloneWorkdir(sync, workdir, { log, context })
      : await copyWorkdir(sync, source, { log, context });
  context.log.spinEnd();
  context.log.line(messages.success("Synced workdir.", log.hint));
  return metadata;
}

interface Tools {
  readonly log: SyncLog;
  readonly context: OperationContext;
}

async function copyWorkdir(sync: FileSync, source: string, tools: Tools): Promise<Readonly<Record<string, unknown>>> {
  const { context } = tools;
  await tellLink({ shown: `Workdir '${source}'`, path: source }, tools);
  const summary = await context.effect("sync-workdir", (token) =>
    copyTree(sync, { key: token, source, dest: WORKDIR }, tools),
  );
  report({ what: `workdir '${source}'`, summary, isWorkdir: true }, tools);
  return {};
}

/** Goes on after a cut: what has arrived by then is not sent again. */
function copyTree(
  sync: FileSync,
  tree: { readonly key: string; readonly source: string; readonly dest: string },
  { log, context }: Tools,
): Promise<SyncSummary> {
  const admits = keepOutOfMounts(tree.dest, sync.standing);
  const request: SyncRequest = {
    ...tree,
    ...(admits === undefined ? {} : { admits }),
    ignoreFilesFrom: context.clientFilesTop,
    clock: context.clock,
    onSkipped: tellLeftOut(log, context),
    signal: context.signal,
  };
  const work = (agent: AgentPeer): Promise<SyncSummary> => syncTree(agent, request);
  return workAgain({ clusterName: sync.cluster.row.name, agent: sync.agent, work }, context);
}

async function cloneWorkdir(
  sync: FileSync,
  workdir: { readonly url: string; readonly ref?: string | undefined },
  tools: Tools,
): Promise<Readonly<Record<string, unknown>>> {
  const { context, log } = tools;
  const env = gitWorkdirEnvironment(workdir, { ...sync.task.envs, ...revealSecrets(sync.task) });
  const nodes = Array.from({ length: sync.cluster.row.num_nodes }, (_, index) => index);
  const commits = await context.effect("clone-workdir", (token) =>
    Promise.all(
      nodes.map(async (node) => {
        const stream = sync.agent.open(
          "exec",
          { key: `${token}-${node}`, script: GIT_WORKDIR_SCRIPT, env, node },
          { signal: context.signal },
        );
        const chunks: Uint8Array[] = [];
        for await (const chunk of stream.chunks) chunks.push(chunk);
        const { exitCode } = await stream.end;
        const output = Buffer.concat(chunks).toString().trim();
        log.write(output);
        if (exitCode === MOUNT_IN_THE_WAY) throw mountInTheWay(workdir.url, output, sync.standing);
        if (exitCode !== 0) throw cloneFailed(workdir.url, exitCode, output);
        return output.split("\n").at(-1) ?? "";
      }),
    ),
  );
  return { git_commit: commits[0] };
}

function mountInTheWay(url: string, output: string, standing: StandingMounts): InvalidValueError {
  return new InvalidValueError(`The git workdir ${url} cannot be brought to ~/sky_workdir. ${output}`, {
    hint: `Mount it outside of the workdir. ${howToEnd(standing)}`,
  });
}

function cloneFailed(url: string, exitCode: number, output: string): CommandError {
  return new CommandError(exitCode, "git clone", `The git workdir ${url} could not be cloned: ${output}`, {
    hint: "Check the URL and the ref; a private repository needs GIT_TOKEN or GIT_SSH_KEY_PATH on the client.",
    detail: output,
  });
}

/**
 * Copies the task's local file_mounts to every node, one after the other. Where buckets and files of the web are copied after them, the
 * line that says so speaks for all: see `syncStorage`.
 */
export async function syncFileMounts(sync: FileSync, context: OperationContext): Promise<void> {
  const mounts = localMounts(sync.task);
  if (mounts.length === 0) return;
  const log = openSyncLog(sync, "file_mounts.log", context);
  for (const [index, [dest, path]] of mounts.entries()) {
    const source = requireMountSource(path, context);
    context.log.spin(messages.spinner("Syncing file mounts", log.hint));
    tellStep(log, `Syncing (to ${messages.nodesText(sync.cluster.row.num_nodes)}): ${source} -> ${dest}`, context);
    await tellLink({ shown: `Source path ${path}`, path: source }, { log, context });
    const summary = await context.effect(`sync-mount.${index}`, (token) =>
      copyTree(sync, { key: token, source, dest: destinationOf(dest) }, { log, context }),
    );
    report({ what: `file mount '${path}'`, summary, isWorkdir: false }, { log, context });
  }
  if (!hasCopies(sync.task)) context.log.line(messages.success("Synced file_mounts.", log.hint));
  context.log.spinEnd();
}

/** A relative destination, which only old files have, lies in the workdir. */
function destinationOf(dest: string): string {
  return dest.startsWith("/") || dest.startsWith("~") ? dest : `${WORKDIR}/${dest}`;
}

function report(
  done: { readonly what: string; readonly summary: SyncSummary; readonly isWorkdir: boolean },
  tools: Tools,
): void {
  const { summary, what, isWorkdir } = done;
  tools.log.write(`Synced ${what}: ${summary.entries} entries, ${summary.bytes} bytes, ${summary.sentBytes} sent.`);
  if (summary.bytes < LARGE_BYTES) return;
  const size = Math.round(summary.bytes / 1024 / 1024);
  const advice = isWorkdir
    ? "Try to keep workdir small or use .skyignore to exclude large files, as large sizes will slow down the upload."
    : "Use .skyignore to exclude large files, as large sizes will slow down the upload.";
  tools.context.log.line(messages.yellow(`The size of ${what} is ${size} MB. ${advice}`));
}
