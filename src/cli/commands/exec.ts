import type { SkyClient } from "../../client/sky-client.ts";
import type { Request } from "../../client/request.ts";
import { NotSupportedError, UsageError } from "../../shared/errors.ts";
import { compileTask } from "../compile-task.ts";
import type { Context } from "../context.ts";
import { resolveEntrypoint } from "../entrypoint.ts";
import { follow, printSubmitted } from "../follow.ts";
import { printJobLog } from "../job-log.ts";
import type { Input } from "../parser/spec.ts";
import type { execSpec } from "../specs/launch.ts";
import { hasSsh, renderUsefulCommands } from "../useful-commands.ts";
import { saveSshAccess } from "../ssh-access.ts";
import { printEntrypoint, reservedFor, uploadProgress } from "./launch.ts";

/** `sky exec`: queues a job on a cluster that is up. The exit code is the job's. */
export async function runExec({ args, options }: Input<typeof execSpec>, ctx: Context): Promise<number> {
  const { cluster, words } = splitWords(args.cluster, args.entrypoint, options.clusterOption);
  const what = reservedFor(cluster);
  if (what !== undefined) {
    throw new NotSupportedError(`Cluster ${cluster} is reserved for ${what}. Executing task on it is not allowed.`);
  }
  const entrypoint = await resolveEntrypoint(words, ctx);
  printEntrypoint(entrypoint, words, ctx);
  const client = await ctx.openClient({ config: options.config });
  const task = await compileTask(entrypoint, options, client, ctx, { workdirOnly: true });
  ctx.out.write(`Submitting job to cluster: ${cluster}\n`);
  const upload = uploadProgress(ctx);
  const request = client.exec(task.document, { clusterName: cluster, onProgress: upload.show, signal: ctx.signal });
  const id = await request.id.finally(() => upload.end());
  if (options.asyncCall) {
    await printSubmitted(ctx, request);
    return 0;
  }
  const outcome = await followWithReason(ctx, client, request, id);
  await saveSshAccess(ctx, client, outcome, { isKnown: true });
  const { jobId } = outcome;
  if (jobId !== null && !options.detachRun) {
    return await printJobLog(ctx, client.logs(cluster, jobId, { signal: ctx.signal }));
  }
  const { canStop = true } = outcome;
  ctx.out.write(
    renderUsefulCommands(ctx, { cluster, jobId, hasSsh: hasSsh(outcome), canStop, dashboardUrl: undefined }),
  );
  return 0;
}

/** With `-c` every word belongs to the entry point. */
function splitWords(
  first: string | undefined,
  rest: readonly string[],
  option: string | undefined,
): { cluster: string; words: readonly string[] } {
  if (option !== undefined) {
    const words = first === undefined ? rest : [first, ...rest];
    if (words.length === 0) throw new UsageError("Missing argument '[ENTRYPOINT]...'");
    return { cluster: option, words };
  }
  if (first === undefined) throw new UsageError("Missing argument '[CLUSTER]' and '[ENTRYPOINT]...'");
  if (rest.length === 0) throw new UsageError("Missing argument '[ENTRYPOINT]...'");
  return { cluster: first, words: rest };
}

const SILENCE_MS = 2000;

/** A job waits until no launch of the cluster is running; when that takes long, the user is told. */
async function followWithReason<T>(ctx: Context, client: SkyClient, request: Request<T>, id: string): Promise<T> {
  const done = new AbortController();
  const signal = AbortSignal.any([done.signal, ctx.signal]);
  const tell = async (): Promise<void> => {
    await ctx.clock.sleep(SILENCE_MS, { signal });
    const [row] = await client.api.status({ ids: [id], all: true, signal });
    if (row?.status !== "PENDING" && row?.status !== "WAITING") return;
    ctx.err.write(`${row.status_msg ?? "Waiting for another request on this cluster to end ..."}\n`);
  };
  // Only a remark: whatever keeps it from being made does not matter.
  void tell().catch(() => undefined);
  try {
    return await follow(ctx, request);
  } finally {
    done.abort();
  }
}
