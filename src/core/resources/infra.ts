/** `infra: aws/us-east-1/us-east-1a`: where a task may run. */

import { CLOUD_ALIASES, CLOUD_NAMES, STORE_NAMES } from "../../shared/cloud-names.ts";
import { closestWord } from "../../shared/config/closest.ts";
import type { Infra } from "./resources.ts";

/** What to write instead of an infra that no cloud is called by; undefined when its cloud is known. */
export function suggestInfra(text: string): string | undefined {
  const [name = "", ...rest] = text.trim().toLowerCase().split("/");
  if (name === "local" && rest.length > 0) return "This machine is `infra: local`, without a region.";
  const store = STORE_NAMES[name];
  if (store !== undefined) return `${store} holds data and runs no tasks.`;
  const known = [...Object.keys(CLOUD_NAMES), ...Object.keys(CLOUD_ALIASES)];
  if (name === "*" || known.includes(name)) return undefined;
  const close = closestWord(name, known);
  if (close !== undefined) return `Did you mean \`infra: ${[close, ...rest].join("/")}\`?`;
  return "This machine is `infra: local`; `sky check` lists what else can be used.";
}

/** Lower case, aliases resolved; undefined for `*`. */
export function canonicalCloud(name: string): string | undefined {
  const cloud = name.trim().toLowerCase();
  return cloud === "*" || cloud === "" ? undefined : (CLOUD_ALIASES[cloud] ?? cloud);
}

/** Reads `cloud[/region[/zone]]`; blanks and slashes around it are dropped; `*` is a wildcard. The form is checked elsewhere. */
export function parseInfra(text: string): Infra {
  const [first = "", ...rest] = text
    .trim()
    .replaceAll(/^\/+|\/+$/g, "")
    .split("/");
  const cloud = canonicalCloud(first);
  // A Kubernetes context may contain slashes.
  const parts = cloud === "kubernetes" ? [rest.join("/")] : rest;
  const [region, zone] = parts.map((part) => wildcardless(part.trim()));
  return makeInfra(cloud, cloud === "ssh" && region !== undefined ? `ssh-${region}` : region, zone);
}

/** From the separate keys `cloud`, `region` and `zone`. */
export function infraOf(cloud: string | undefined, region: string | undefined, zone: string | undefined): Infra {
  const name = cloud === undefined ? undefined : canonicalCloud(cloud);
  const place = wildcardless(region);
  const pool = name === "ssh" && place !== undefined && !place.startsWith("ssh-") ? `ssh-${place}` : place;
  return makeInfra(name, pool, wildcardless(zone));
}

function wildcardless(part: string | undefined): string | undefined {
  return part === "*" || part === "" ? undefined : part;
}

function makeInfra(cloud: string | undefined, region: string | undefined, zone: string | undefined): Infra {
  return Object.freeze({
    ...(cloud !== undefined && { cloud }),
    ...(region !== undefined && { region }),
    ...(zone !== undefined && { zone }),
  });
}

/** Canonical text: trailing wildcards dropped, inner ones kept; undefined when nothing is asked for. */
export function formatInfra(infra: Infra): string | undefined {
  const parts = [infra.cloud, displayRegion(infra), infra.zone];
  while (parts.length > 0 && parts.at(-1) === undefined) parts.pop();
  return parts.length === 0 ? undefined : parts.map((part) => part ?? "*").join("/");
}

/** The region as users write it: an SSH pool without its internal prefix. */
export function displayRegion(infra: Infra): string | undefined {
  return infra.cloud === "ssh" ? infra.region?.replace(/^ssh-/, "") : infra.region;
}
