import { InvalidValueError } from "../../shared/errors.ts";

/** Of SkyPilot 0.14.1: most of them are refused later, as stores that are not available. */
const SCHEMES: ReadonlySet<string> = new Set("s3 gs r2 cos oci nebius cw vastdata hf https http".split(" "));
/** What can be used, for hints. */
export const AVAILABLE_SOURCES = "s3:// (`store: s3`), r2:// (`store: r2`) and, to copy files of the web, https://";

/** Buckets and other places that are not this machine: URLs with a host, whatever the scheme. */
export function isCloudUri(path: string): boolean {
  return SCHEMES.has(schemeOf(path) ?? "") || /^[a-z][a-z0-9+.-]*:\/\/[^/]/i.test(path);
}

/** Files of the web. */
export function isWebUri(path: string): boolean {
  return /^https?:\/\//.test(path) && (!isAzureUri(path) || isSigned(path));
}

/** What is in a storage account of Azure: a container, what is below a prefix, or a blob. */
export function isAzureUri(path: string): boolean {
  return /^https?:\/\/(?:[^/?#]*@)?[^/?#@:]+\.blob\.core\.windows\.net(?:[:/?#]|$)/i.test(path);
}

/** Whether the URL of a blob brings the right to read it (a SAS token), so that it is downloaded like any file. */
function isSigned(uri: string): boolean {
  return /^https?:\/\/[^/]+\/[^/?#]+\/[^?#]+\?(?:[^#]*&)?sig=/.test(uri);
}

/** Whether it is a URL of any kind, one without a host included, whose scheme nobody knows. */
export function hasUnknownScheme(path: string): boolean {
  const scheme = schemeOf(path);
  return scheme !== undefined && !SCHEMES.has(scheme);
}

/** Throws InvalidValueError for a URL with a host whose scheme nobody knows. */
export function requireKnownScheme(uri: string): void {
  const scheme = schemeOf(uri);
  if (!isCloudUri(uri) || !hasUnknownScheme(uri)) return;
  throw new InvalidValueError(`File mount source '${uri}' cannot be used: ${scheme}:// is not supported.`, {
    hint: `Available are paths on this machine, ${AVAILABLE_SOURCES}.`,
  });
}

function schemeOf(path: string): string | undefined {
  return /^([a-z][a-z0-9+.-]*):\/\//i.exec(path)?.[1];
}
