import type { Operation, OperationContext } from "../operation.ts";
import type { HookLogsBody } from "./bodies.ts";
import { requireUpCluster } from "./cluster.ts";

/** Exit codes of `sky logs --hook`. */
const FOUND = 0;
const NOT_FOUND = 102;

export const hookLogsOperation: Operation<HookLogsBody, number> = {
  name: "clusters.hook_logs",
  wireName: "hook_logs",
  schedule: "short",
  isResumable: false,
  run: runHookLogs,
};

/** Prints the log of a lifecycle hook, of the last one when no event is named; `tail` -n lines of it, 0 for all. */
const SCRIPT = `cd ~/.sky/hooks 2> /dev/null || exit 4
log="$HOOK_EVENT.log"
[ -n "$HOOK_EVENT" ] || log=$(ls -t ./*.log 2> /dev/null | head -n 1)
[ -f "$log" ] || exit 4
if [ "$HOOK_TAIL" -gt 0 ]; then tail -n "$HOOK_TAIL" "$log"; else cat "$log"; fi
`;

async function runHookLogs(body: HookLogsBody, context: OperationContext): Promise<number> {
  await requireUpCluster(context.db, body.cluster_name, "Tailing hook logs");
  const agent = await context.agents.connect(body.cluster_name, { signal: context.signal });
  const stream = agent.open(
    "exec",
    {
      key: context.requestId,
      script: SCRIPT,
      env: { HOOK_EVENT: body.event ?? "", HOOK_TAIL: String(Math.max(0, body.tail ?? 0)) },
      node: 0,
    },
    { signal: context.signal },
  );
  const lines = new LineCutter((line) => context.log.line(line));
  for await (const chunk of stream.chunks) lines.push(chunk);
  lines.end();
  const { exitCode } = await stream.end;
  if (exitCode === 0) return FOUND;
  context.log.line(`No ${body.event ?? "lifecycle"} hook has run on cluster '${body.cluster_name}'.`);
  return NOT_FOUND;
}

/** Turns pieces of bytes into whole lines. */
class LineCutter {
  readonly #onLine: (line: string) => void;
  readonly #decoder = new TextDecoder();
  #rest = "";

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(bytes: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#onLine(line);
  }

  end(): void {
    this.push(new Uint8Array(0));
    if (this.#rest !== "") this.#onLine(this.#rest);
  }
}
