import { child, plainOf, type YamlNode } from "../../shared/yaml-node.ts";
import type { ParsedResources } from "../resources/parse.ts";
import type { HookEvent, LifecycleHook } from "./task.ts";

const ALL_EVENTS: readonly HookEvent[] = ["stop", "preemption", "down"];
const DEFAULT_TIMEOUT_SECONDS = 3600;

export const HOOK_WARNING =
  "WARNING: autostop.hook / autostop.hook_timeout are deprecated. Use config.hooks: [{run, events: [stop|down], timeout}] instead " +
  "(routed for you — autodown maps to `down`, autostop maps to `stop`).";

/** The checked list of `config.hooks`. */
export function parseHooks(node: YamlNode | undefined): readonly LifecycleHook[] {
  if (node?.kind !== "sequence") return [];
  return node.items.map((item) => {
    const events = child(item, "events");
    const timeout = child(item, "timeout");
    return Object.freeze({
      run: String(plainOf(child(item, "run") ?? item)),
      events: events === undefined ? ALL_EVENTS : (plainOf(events) as readonly HookEvent[]),
      timeout: timeout === undefined ? DEFAULT_TIMEOUT_SECONDS : Number(plainOf(timeout)),
    });
  });
}

/** The deprecated hook of `resources.autostop` as a lifecycle hook. */
export function routedHook(hook: NonNullable<ParsedResources["autostopHook"]>): LifecycleHook {
  return Object.freeze({
    run: hook.run,
    events: [hook.down ? "down" : "stop"] as const,
    timeout: hook.timeout ?? DEFAULT_TIMEOUT_SECONDS,
  });
}
