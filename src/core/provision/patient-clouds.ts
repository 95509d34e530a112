import type { Clock } from "../../shared/clock.ts";
import { CloudBusyError, UnknownOutcomeError } from "../../shared/errors.ts";
import type { Cloud, CloudRegistry } from "../ports/cloud.ts";
import { Pacer } from "./pacer.ts";
import { QueryBatch } from "./query-batch.ts";

/** How long a cloud that is too busy is asked again. */
const PATIENCE_MS = 900_000;
/** How often a call without an answer is repeated, and after how long. */
const UNKNOWN_TRIES = 6;
const UNKNOWN_GAP_MS = 500;

const LOOK = 1;
const CHANGE = 0;

/**
 * Clouds whose calls wait out throttling, share one pace, ask about many clusters at once, and are repeated when no answer came. A lost
 * answer of `run` is passed on: whoever has the token decides.
 */
export function createPatientClouds(registry: CloudRegistry, clock: Clock): CloudRegistry {
  const made = new WeakMap<Cloud, Cloud>();
  return {
    ...registry,
    names: () => registry.names(),
    load: async (name) => {
      const cloud = await registry.load(name);
      const patient = made.get(cloud) ?? makePatient(cloud, clock);
      made.set(cloud, patient);
      return patient;
    },
  };
}

interface Call {
  readonly signal: AbortSignal;
  readonly priority: number;
  readonly repeatsUnknown: boolean;
}

function makePatient(cloud: Cloud, clock: Clock): Cloud {
  const pacer = new Pacer(clock);
  const look = (signal: AbortSignal): Call => ({ signal, priority: LOOK, repeatsUnknown: true });
  const change = (signal: AbortSignal): Call => ({ signal, priority: CHANGE, repeatsUnknown: true });
  const patiently = <T>(call: Call, act: () => Promise<T>): Promise<T> => repeat(act, call, { pacer, clock });
  const { stop, openPorts, queryMany } = cloud;
  const batch =
    queryMany === undefined
      ? undefined
      : new QueryBatch((clusters, context) =>
          patiently(look(context.signal), () => queryMany.call(cloud, clusters, context)),
        );
  const calls: Partial<Cloud> = {
    query: (cluster, context) =>
      batch?.ask(cluster, context) ?? patiently(look(context.signal), () => cloud.query(cluster, context)),
    run: (spec, token, context) =>
      patiently({ ...change(context.signal), repeatsUnknown: false }, () => cloud.run(spec, token, context)),
    terminate: (cluster, context, only) =>
      patiently(change(context.signal), () => cloud.terminate(cluster, context, only)),
    ...(stop === undefined
      ? {}
      : {
          stop: (cluster, context, only) =>
            patiently(change(context.signal), () => stop.call(cloud, cluster, context, only)),
        }),
    ...(openPorts === undefined
      ? {}
      : {
          openPorts: (cluster, ports, context) =>
            patiently(change(context.signal), () => openPorts.call(cloud, cluster, ports, context)),
        }),
  };
  return overlay(cloud, calls);
}

/** The cloud with some calls replaced. What else it has is read from it each time: it may be a getter, or change. */
function overlay(cloud: Cloud, calls: Partial<Cloud>): Cloud {
  return new Proxy(cloud, {
    get: (target, key) => {
      if (Object.hasOwn(calls, key)) return Reflect.get(calls, key) as unknown;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

async function repeat<T>(
  act: () => Promise<T>,
  call: Call,
  tools: { readonly pacer: Pacer; readonly clock: Clock },
): Promise<T> {
  const { pacer, clock } = tools;
  const until = clock.now() + PATIENCE_MS;
  for (let unknown = 0; ;) {
    const turn = await pacer.turn(call.priority, call.signal);
    try {
      const result = await act();
      pacer.end(turn, "well");
      return result;
    } catch (error) {
      const isBusy = error instanceof CloudBusyError;
      const isUnknown = error instanceof UnknownOutcomeError && call.repeatsUnknown;
      pacer.end(turn, isBusy ? "too fast" : "otherwise");
      if (isUnknown) unknown++;
      if ((!isBusy && !isUnknown) || clock.now() > until || unknown >= UNKNOWN_TRIES) throw error;
      if (isUnknown) await clock.sleep(UNKNOWN_GAP_MS, { signal: call.signal });
    }
  }
}
