import type { Preemption } from "../../shared/agent/protocol.ts";
import { systemClock } from "../../shared/clock.ts";
import type { NodeParts } from "../head.ts";
import { describeError } from "../node/agent-log.ts";
import { ec2Notices } from "./ec2-notices.ts";
import { watchNotices } from "./watch.ts";

/** Watches for what this node's provider announces of it, where there is a place to look. */
export async function watchOwnNotices(
  { config, log }: Pick<NodeParts, "config" | "log">,
  onNotice: (notice: Preemption) => void,
): Promise<void> {
  if (config.notices === undefined) return;
  const options = {
    read: ec2Notices(),
    clock: systemClock,
    onNotice: (notice: Preemption): void => {
      log.info("preemption", { ...notice });
      onNotice(notice);
    },
    onError: (error: unknown): void => log.error("notices not read", describeError(error)),
  };
  await watchNotices(options, new AbortController().signal);
}
