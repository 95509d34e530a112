import type { TaskRunner } from "../tasks/task-runner.ts";
import { jobOfTask } from "../tasks/task-types.ts";

/** Ends and forgets the tasks of all jobs but these: their jobs ended while this node was away. */
export async function dropStaleTasks(
  jobIds: readonly number[],
  options: { readonly runner: TaskRunner; readonly graceMs: number },
): Promise<void> {
  const wanted = new Set(jobIds);
  const stale = options.runner.list().filter((id) => !wanted.has(jobOfTask(id)));
  await Promise.all(
    stale.map(async (id) => {
      // What a finished script left behind on purpose goes on.
      if (!options.runner.isOver(id)) await options.runner.kill(id, options.graceMs);
      await options.runner.forget(id);
    }),
  );
}
