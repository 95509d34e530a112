import { loadContainer } from "./load-container.ts";
import type { LoadContext } from "./load-context.ts";
import { loadInstance } from "./load-instance.ts";
import { loadLogin } from "./load-login.ts";
import { loadProcess } from "./load-process.ts";
import { loadRole } from "./load-role.ts";
import { loadSso } from "./load-sso.ts";
import { loadWebIdentity } from "./load-web-identity.ts";
import type { Credentials, Source } from "./source.ts";

/** Gets the credentials of a source, by calls where the kind needs them. Throws AwsAuthError, or NoMetadataError off EC2. */
export async function loadCredentials(source: Source, context: LoadContext): Promise<Credentials> {
  switch (source.kind) {
    case "env":
      return source.expiresAtMs === undefined ? source.keys : { ...source.keys, expiresAtMs: source.expiresAtMs };
    case "shared-credentials-file":
    case "config-file":
      return source.keys;
    case "sso":
      return loadSso(source, context);
    case "login":
      return loadLogin(source, context);
    case "assume-role":
      return loadRole(source, context);
    case "assume-role-with-web-identity":
      return loadWebIdentity(source, context);
    case "custom-process":
      return loadProcess(source, context);
    case "container-role":
      return loadContainer(source, context);
    case "iam-role":
      return loadInstance(context);
  }
}
