import type { SkyClient } from "../../client/sky-client.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import type { Context } from "../context.ts";
import { waitFor } from "../follow.ts";
import { makeColors } from "../render/colors.ts";
import { renderLive, type LiveFilter, type NamedPool } from "../render/live-gpus.ts";

const NO_POOLS = "SSH Node Pools are not enabled. To fix, run: sky check ssh";

/** Asks the pools (or one of them) what is free. Throws InvalidValueError for a pool that there is not. */
export async function askPools(
  client: SkyClient,
  pool: string | undefined,
  ctx: Context,
): Promise<readonly NamedPool[]> {
  const infras = await waitFor(ctx, client.enabledClouds({ expand: true, signal: ctx.signal }));
  // This machine goes by such a name, too; it is no pool.
  const names = infras.flatMap((infra) => /^ssh\/(?!local$)(.+)$/u.exec(infra)?.[1] ?? []);
  if (pool !== undefined && names.length > 0 && !names.includes(pool)) {
    throw new InvalidValueError(`There is no SSH Node Pool '${pool}' that is set up.`, {
      hint: `Pools: ${names.join(", ")}`,
    });
  }
  const asked = names.filter((name) => pool === undefined || name === pool);
  return Promise.all(
    asked.map(async (name) => ({ name, pool: await waitFor(ctx, client.gpus.pool(name, { signal: ctx.signal })) })),
  );
}

/** `sky gpus list --infra ssh`. */
export function renderPools(pools: readonly NamedPool[], filter: LiveFilter, ctx: Context): string {
  if (pools.length === 0) return NO_POOLS;
  const shown = renderLive(pools, filter, makeColors(ctx.env, ctx.out.isTTY));
  if (shown !== undefined) return shown;
  if (filter.name === undefined)
    return "No GPUs found in SSH Node Pools. To see what the hosts have, run: sky check ssh -v";
  const quantity = filter.count === undefined ? "" : ` with requested quantity ${filter.count}`;
  return `Resources '${filter.name}'${quantity} not found in SSH Node Pools. To show available accelerators in SSH Node Pools, run: sky gpus list --infra ssh`;
}
