import { InvalidValueError } from "../../../shared/errors.ts";
import type { StatementTemplate } from "../actions.ts";

/** A bucket, or a part of one, that a policy is limited to. */
export interface BucketScope {
  /** May hold `*` and `?`. */
  readonly bucket: string;
  /** Without slash at either end; "" = the whole bucket. */
  readonly prefix: string;
}

/** One statement of the scoped form. */
export interface ScopedStatement {
  readonly suffix: string;
  readonly resources: readonly string[];
  /** Of the statement's actions; absent = all. */
  readonly only?: string;
  readonly condition?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
}

/** Reads `name`, `name/prefix` or `s3://…`, wildcards allowed. Throws InvalidValueError. */
export function parseBuckets(given: readonly string[]): readonly BucketScope[] {
  return given
    .flatMap((list) => list.split(","))
    .map((text) => {
      const [, bucket = "", rest = ""] = /^(?:s3:\/\/)?([^/]*)(.*)$/su.exec(text.trim()) ?? [];
      const prefix = rest.replaceAll(/^\/+|\/+$/gu, "");
      if (!/^[a-z0-9*?][a-z0-9.*?-]{0,62}$/u.test(bucket)) {
        throw new InvalidValueError(`'${text}' names no bucket.`, {
          hint: "For example: --bucket my-bucket, --bucket 'team-*', --bucket my-bucket/models",
        });
      }
      // IAM would put a variable in.
      if (prefix.includes("$")) throw new InvalidValueError(`'${text}': a policy cannot hold '$' in a prefix.`);
      return { bucket, prefix };
    });
}

/** Throws InvalidValueError where a feature is about whole buckets and a scope is not. */
export function checkScopes(scopes: readonly BucketScope[], features: ReadonlySet<string>): void {
  const part = scopes.find(({ prefix }) => prefix !== "");
  const whole = ["buckets", "bucket-care"].find((feature) => features.has(feature));
  if (part === undefined || whole === undefined) return;
  throw new InvalidValueError(
    `'${part.bucket}/${part.prefix}' is a part of a bucket, and the feature ${whole} makes and deletes whole ones.`,
    { hint: `Name the whole bucket (--bucket ${part.bucket}), or leave ${whole} out.` },
  );
}

/** What a statement about all buckets becomes for some; undefined for statements that are about something else. */
export function scopeStatement(
  template: Pick<StatementTemplate, "resources">,
  scopes: readonly BucketScope[],
): readonly ScopedStatement[] | undefined {
  const [resource = ""] = template.resources;
  if (resource.endsWith(":s3:::*/*"))
    return [{ suffix: "", resources: scopes.flatMap((scope) => objectsOf(resource, scope)) }];
  if (!resource.endsWith(":s3:::*")) return undefined;
  const arnOf = ({ bucket }: BucketScope): string => resource.slice(0, -1) + bucket;
  const wholes = scopes.filter(({ prefix }) => prefix === "");
  const parts = scopes.filter(({ prefix }) => prefix !== "");
  return [
    ...(wholes.length === 0 ? [] : [{ suffix: "", resources: wholes.map(arnOf) }]),
    ...(parts.length === 0
      ? []
      : [{ suffix: "Place", only: "s3:GetBucketLocation", resources: [...new Set(parts.map(arnOf))] }]),
    ...parts.map((part, index) => ({
      suffix: `Part${index + 1}`,
      only: "s3:ListBucket",
      resources: [arnOf(part)],
      condition: { StringLike: { "s3:prefix": [part.prefix, `${part.prefix}/*`] } },
    })),
  ];
}

function objectsOf(resource: string, { bucket, prefix }: BucketScope): readonly string[] {
  const base = resource.slice(0, -"*/*".length) + bucket;
  return prefix === "" ? [`${base}/*`] : [`${base}/${prefix}`, `${base}/${prefix}/*`];
}
