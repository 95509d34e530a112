/** The `pool` block: workers that wait for managed jobs. On the wire it is `service: {pool: {...}}`. */

import { checkSchema } from "../../shared/config/schema-report.ts";
import { located } from "../../shared/config/value-error.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import { child, plainOf, withoutNulls, type YamlMapping } from "../../shared/yaml-node.ts";
import { checkReplicaRange, POOL_SCHEMA, SERVICE_PREFIX, serviceSchema } from "./service.ts";
import type { PoolSpec } from "./task.ts";

const SUFFIX = "for pool autoscaling.";

/** Reads the block of the key `pool`. @throws InvalidConfigError, InvalidValueError */
export function parsePool(node: YamlMapping, file?: string): PoolSpec {
  const wrapped: YamlMapping = {
    kind: "mapping",
    entries: [{ key: { kind: "scalar", type: "str", value: "pool" }, value: node }],
    mark: node.mark,
  };
  checkSchema(wrapped, { ...serviceSchema(), properties: { pool: POOL_SCHEMA } }, { prefix: SERVICE_PREFIX, file });
  return buildPool(node, file);
}

/** Reads `pool` inside a `service` block. */
export function parseServicePool(service: YamlMapping, file?: string): PoolSpec | undefined {
  const block = withoutNulls(service);
  checkSchema(block, serviceSchema(), { prefix: SERVICE_PREFIX, file, at: ["service"] });
  const pool = child(block, "pool");
  if (pool?.kind !== "mapping") return undefined;
  if (child(block, "replicas") !== undefined)
    throw new InvalidValueError("Cannot specify `replicas` for pool. Please use `workers` instead.");
  return buildPool(pool, file);
}

function buildPool(node: YamlMapping, file?: string): PoolSpec {
  const number = (key: string): number | undefined => {
    const value = child(node, key);
    return value === undefined ? undefined : Number(plainOf(value));
  };
  const workers = number("workers");
  const maxWorkers = number("max_workers");
  const written: PoolSpec = {
    workers,
    minWorkers: number("min_workers"),
    maxWorkers,
    queueLengthThreshold: number("queue_length_threshold"),
    upscaleDelaySeconds: number("upscale_delay_seconds"),
    downscaleDelaySeconds: number("downscale_delay_seconds"),
  };
  located({ file, node, path: ["pool"] }, () => checkPool(written));
  if (maxWorkers === undefined) return Object.freeze(written);
  return Object.freeze({
    ...written,
    minWorkers: written.minWorkers ?? workers ?? 1,
    queueLengthThreshold: written.queueLengthThreshold ?? 1,
  });
}

function checkPool(pool: PoolSpec): void {
  const { workers, minWorkers: min, maxWorkers: max } = pool;
  if (workers === undefined && min === undefined && max === undefined)
    throw new InvalidValueError(`One of workers, or both min_workers and max_workers must be set ${SUFFIX}`);
  if (max === undefined) {
    checkFixedPool(pool);
    return;
  }
  if (min !== undefined && min > max)
    throw new InvalidValueError(`min_workers (${min}) must be <= max_workers (${max}) ${SUFFIX}`);
  checkReplicaRange(min ?? workers ?? 1, max);
}

function checkFixedPool(pool: PoolSpec): void {
  if (pool.minWorkers !== undefined)
    throw new InvalidValueError(`max_workers must be set when min_workers is specified ${SUFFIX}`);
  if (pool.queueLengthThreshold !== undefined)
    throw new InvalidValueError(`max_workers must be set when queue_length_threshold is specified ${SUFFIX}`);
  if (pool.upscaleDelaySeconds !== undefined)
    throw new InvalidValueError("upscale_delay_seconds is not supported for pool.");
  if (pool.downscaleDelaySeconds !== undefined)
    throw new InvalidValueError("downscale_delay_seconds is not supported for pool.");
}
