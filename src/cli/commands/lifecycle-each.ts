import type { Request } from "../../client/request.ts";
import type { StreamEvent } from "../../client/stream-decoder.ts";
import { SkyError } from "../../shared/errors.ts";
import type { Context } from "../context.ts";
import { printSubmitted } from "../follow.ts";
import { createRelogin, loginWith, type Relogin } from "../relogin.ts";
import { ColorFilter } from "../render/color-filter.ts";
import { makeColors } from "../render/colors.ts";
import { renderMarkup } from "../render/markup.ts";
import { Spinner } from "../render/spinner.ts";

interface EachOptions {
  /** `Terminating`, `Stopping`: how the progress is told. */
  readonly doing: string;
  readonly asyncCall: boolean;
  /** Whether what the server says that it waits for is shown meanwhile. */
  readonly showsWaits?: boolean;
  /** The text after a success, without the final newline. */
  readonly success: (cluster: string) => string;
  readonly failure: (cluster: string, reason: string) => string;
  /** Added to the last line when something failed. */
  readonly failureHint?: string;
}

type SpinnerEvent = Extract<StreamEvent, { readonly kind: "spinner" }>;

interface Outcome {
  readonly cluster: string;
  readonly error: SkyError | undefined;
  /** What the server said meanwhile, such as warnings. */
  readonly log: Buffer;
}

/** Acts on clusters in parallel and tells about each as it ends. Exit code 1 when one failed. */
export async function actOnEach<T>(
  ctx: Context,
  clusters: readonly string[],
  act: (cluster: string) => Request<T>,
  options: EachOptions,
): Promise<number> {
  if (options.asyncCall) {
    for (const cluster of clusters) await printSubmitted(ctx, act(cluster));
    return 0;
  }
  const colors = makeColors(ctx.env, ctx.out.isTTY);
  const spinner = new Spinner(ctx.err, makeColors(ctx.env, ctx.err.isTTY).enabled);
  const noun = `${clusters.length} cluster${clusters.length === 1 ? "" : "s"}`;
  const progress = `[bold cyan]${options.doing} ${noun}[/]`;
  spinner.start(progress);
  const requests: Request<T>[] = [];
  const onSpinner = ({ action, message }: SpinnerEvent): void => {
    if (options.showsWaits !== true || action === "start") return;
    spinner.update(action === "init" || action === "update" ? message : progress);
  };
  const send = (cluster: string): Request<T> => {
    const request = act(cluster);
    requests.push(request);
    return request;
  };
  const relogin = createRelogin(ctx, async (profile) => {
    spinner.stop();
    await loginWith(ctx)(profile);
    spinner.start(progress);
  });
  try {
    const outcomes = await Promise.all(
      clusters.map(async (cluster): Promise<Outcome> => {
        const outcome = await settle(cluster, { send, relogin, ctx, onSpinner });
        spinner.clear();
        ctx.out.write(colors.enabled ? outcome.log : new ColorFilter().push(outcome.log));
        const text =
          outcome.error === undefined ? options.success(cluster) : options.failure(cluster, reasonOf(outcome.error));
        ctx.out.write(`${renderMarkup(text, colors.enabled)}\n`);
        return outcome;
      }),
    );
    return summarize(ctx, outcomes, options);
  } catch (error) {
    spinner.stop();
    if (ctx.signal.aborted) for (const request of requests) await noteDetached(ctx, request);
    throw error;
  } finally {
    spinner.stop();
  }
}

async function settle<T>(
  cluster: string,
  tools: {
    readonly send: (cluster: string) => Request<T>;
    readonly relogin: Relogin;
    readonly ctx: Context;
    readonly onSpinner: (event: SpinnerEvent) => void;
  },
): Promise<Outcome> {
  let log: Buffer[] = [];
  const outcome = (error: SkyError | undefined): Outcome => ({ cluster, error, log: Buffer.concat(log) });
  try {
    await tools.relogin(async () => {
      log = [];
      const request = tools.send(cluster);
      for await (const event of request.events()) {
        if (event.kind === "text") log.push(event.bytes);
        if (event.kind === "spinner") tools.onSpinner(event);
      }
      return await request.result();
    });
    return outcome(undefined);
  } catch (error) {
    if (tools.ctx.signal.aborted || !(error instanceof SkyError)) throw error;
    return outcome(error);
  }
}

function reasonOf(error: SkyError): string {
  return error.hint === undefined ? error.message : `${error.message}\n  hint: ${error.hint}`;
}

async function noteDetached<T>(ctx: Context, request: Request<T>): Promise<void> {
  const id = await request.id.catch(() => undefined);
  if (id !== undefined)
    ctx.err.write(`\n⚙︎ Request will continue running asynchronously. View logs: sky api logs ${id.slice(0, 8)}`);
}

const REASON_WIDTH = 120;

function summarize(ctx: Context, outcomes: readonly Outcome[], options: EachOptions): number {
  const colors = makeColors(ctx.env, ctx.out.isTTY);
  const failed = outcomes.filter((outcome) => outcome.error !== undefined);
  if (outcomes.length > 1) {
    const good = outcomes.filter((outcome) => outcome.error === undefined).map((outcome) => outcome.cluster);
    const lines = ["", "Summary:"];
    if (good.length > 0) lines.push(colors.green(`  ✓ Succeeded: ${good.join(", ")}`));
    const shown = failed.map(({ cluster, error }) => `${cluster} (${firstLine(error?.message ?? "")})`);
    if (shown.length === 1) lines.push(colors.red(`  ✗ Failed: ${shown[0]}`));
    if (shown.length > 1) lines.push(colors.red("  ✗ Failed:"), ...shown.map((text) => `    ${text}`));
    ctx.out.write(`${lines.join("\n")}\n`);
  }
  if (failed.length === 0) return 0;
  ctx.err.write(`Cluster(s) failed. See details above.${options.failureHint ?? ""}\n`);
  return 1;
}

function firstLine(text: string): string {
  return (text.split("\n")[0] ?? "").slice(0, REASON_WIDTH);
}
