import type { ClientConfig } from "../client/sky-client.ts";
import type { ConfigOverrides, Machine } from "./context.ts";

/** Reads the config layers of the client. */
export async function loadClientConfig(_machine: Machine, _overrides: ConfigOverrides): Promise<ClientConfig> {
  return { value: {}, paths: [null, null] };
}

/** Reads the `--config` values alone. */
export async function loadConfigOverrides(
  _machine: Machine,
  _overrides: ConfigOverrides,
): Promise<Readonly<Record<string, unknown>>> {
  return {};
}
