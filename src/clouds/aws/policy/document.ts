import { InvalidValueError } from "../../../shared/errors.ts";
import {
  ACTIONS,
  FEATURES,
  STATEMENTS,
  type Feature,
  type Sid,
  type StatementTemplate,
  type TagScope,
  type Tier,
} from "../actions.ts";
import { checkScopes, scopeStatement, type BucketScope } from "./bucket-scope.ts";

/** A statement as IAM has it; a list of one is written as the one. */
export interface PolicyStatement {
  readonly Sid: string;
  readonly Effect: "Allow";
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

export interface PolicyDocument {
  readonly Version: "2012-10-17";
  readonly Statement: readonly PolicyStatement[];
}

export type Partition = "aws" | "aws-cn" | "aws-us-gov";

export interface PolicyWish {
  readonly tier: Tier;
  /** `launch` is always part of it; `buckets` includes `s3`. */
  readonly features: readonly Feature[];
  /** 12 digits. */
  readonly account: string;
  /** Regions to limit EC2 to; none = all. */
  readonly regions: readonly string[];
  readonly isTagScoped: boolean;
  /** Buckets to limit S3 to; none = all. They ask for `s3`. */
  readonly buckets?: readonly BucketScope[];
  /** Where no region says it; `aws` when absent. */
  readonly partition?: Partition;
}

/** What the ARNs of the table are completed with. */
interface Place {
  readonly account: string;
  readonly regions: readonly string[];
  readonly partition?: Partition | undefined;
}

/** The statements that a node's role holds whatever else is asked for. */
const NODE_FEATURES: readonly Feature[] = ["launch", "ports", "s3"];

/** Reads `launch,spot,…` (several lists are joined). Throws InvalidValueError with the names that exist. */
export function parseFeatures(given: readonly string[]): readonly Feature[] {
  const names = given.flatMap((list) => list.split(",")).flatMap((name) => name.trim() || []);
  return names.flatMap((name) => {
    if (name === "all") return Object.keys(FEATURES).filter(isFeature);
    if (isFeature(name)) return [name];
    throw new InvalidValueError(`'${name}' is not a feature of the AWS policy.`, {
      hint: `Features: ${Object.keys(FEATURES).join(", ")}, all.`,
    });
  });
}

function isFeature(name: string): name is Feature {
  return Object.hasOwn(FEATURES, name);
}

/** Reads `admin-setup`, `user` or `node`. */
export function parseTier(given: string): Tier {
  if (given === "admin-setup" || given === "user" || given === "node") return given;
  throw new InvalidValueError(`'${given}' is not a tier.`, { hint: "Tiers: admin-setup, user, node." });
}

/** The partition that a region belongs to. */
export function partitionOf(region: string | undefined): Partition {
  if (region?.startsWith("cn-")) return "aws-cn";
  return region?.startsWith("us-gov-") ? "aws-us-gov" : "aws";
}

/** The partition that an ARN names; undefined for what is none. */
export function partitionOfArn(arn: string | undefined): Partition | undefined {
  const name = arn?.split(":")[1];
  return name === "aws" || name === "aws-cn" || name === "aws-us-gov" ? name : undefined;
}

/** Builds the policy for a tier and features. Throws InvalidValueError when the account id or a region cannot be one. */
export function buildPolicy(wish: PolicyWish): PolicyDocument {
  checkWish(wish);
  return { Version: "2012-10-17", Statement: wishedSids(wish).flatMap((sid) => statementsOf(sid, wish)) };
}

/** The statements of the table that a tier and features come to. */
export function wishedSids(wish: Pick<PolicyWish, "tier" | "features" | "buckets">): readonly Sid[] {
  const features = featuresOf(wish);
  const isScoped = (wish.buckets ?? []).length > 0;
  return (Object.keys(STATEMENTS) as Sid[]).filter((sid) => {
    const template: StatementTemplate = STATEMENTS[sid];
    // The names of all buckets are more than who is limited to some needs.
    if (isScoped && sid === "S3List") return false;
    return template.tiers.includes(wish.tier) && features.has(template.feature);
  });
}

/** The statement of the table for `sid`, narrowed to some of its actions. */
export function narrowStatement(
  sid: Sid,
  actions: readonly string[],
  options: { readonly account: string; readonly resources?: readonly string[]; readonly partition?: Partition },
): PolicyStatement {
  const template: StatementTemplate = STATEMENTS[sid];
  const place = { account: options.account, regions: [], partition: options.partition };
  return statement({ sid, actions, resources: options.resources ?? template.resources, template }, place);
}

function checkWish(wish: PolicyWish): void {
  if (!/^\d{12}$/u.test(wish.account)) {
    throw new InvalidValueError(`'${wish.account}' is not an AWS account id: it has 12 digits.`);
  }
  for (const region of wish.regions) {
    if (!/^[a-z]{2}(?:-[a-z]+)+-\d$/u.test(region)) throw new InvalidValueError(`'${region}' is not an AWS region.`);
  }
  checkScopes(wish.buckets ?? [], featuresOf(wish));
  if (new Set(wish.regions.map(partitionOf)).size > 1) {
    throw new InvalidValueError("One policy holds for one partition: aws, aws-cn or aws-us-gov.");
  }
}

function featuresOf(wish: Pick<PolicyWish, "tier" | "features" | "buckets">): ReadonlySet<Feature> {
  const features = new Set<Feature>(["launch", ...wish.features]);
  if (wish.tier === "node") for (const feature of NODE_FEATURES) features.add(feature);
  if (features.has("clone-care")) features.add("clone-disk");
  if (features.has("bucket-care")) features.add("buckets");
  if (features.has("buckets") || features.has("mounts") || (wish.buckets ?? []).length > 0) features.add("s3");
  return features;
}

function statementsOf(sid: Sid, wish: PolicyWish): readonly PolicyStatement[] {
  const template: StatementTemplate = STATEMENTS[sid];
  const actions = printedActions(sid);
  const { buckets = [] } = wish;
  const scoped = buckets.length === 0 ? undefined : scopeStatement(template, buckets);
  if (scoped !== undefined) {
    return scoped.map(({ suffix, resources, only, ...rest }) =>
      statement(
        { sid: `${sid}${suffix}`, actions: only === undefined ? actions : [only], resources, template: rest },
        wish,
      ),
    );
  }
  if (!wish.isTagScoped || template.tagScope === undefined) {
    return [statement({ sid, actions, resources: template.resources, template }, wish)];
  }
  return template.tagScope.map((scope: TagScope) =>
    statement({ sid: `${sid}${scope.suffix}`, actions, resources: scope.resources, template: scope }, wish),
  );
}

/** The actions of a statement as it spells them, each once. */
export function printedActions(sid: Sid): readonly string[] {
  return [...new Set(ACTIONS.filter((row) => row.sid === sid).map((row) => row.printed ?? row.action))];
}

interface StatementParts {
  readonly sid: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly template: { readonly condition?: NonNullable<PolicyStatement["Condition"]> };
}

function statement(parts: StatementParts, place: Place): PolicyStatement {
  const plain = {
    Sid: parts.sid,
    Effect: "Allow",
    Action: oneOrAll(parts.actions),
    Resource: oneOrAll(parts.resources.flatMap((resource) => fillResource(resource, place))),
  } as const;
  return parts.template.condition === undefined ? plain : { ...plain, Condition: parts.template.condition };
}

/** Puts account, regions and partition into a resource of the table: one ARN for each region. */
export function fillResource(resource: string, place: Place): readonly string[] {
  const [region] = place.regions;
  const partition = region === undefined ? (place.partition ?? "aws") : partitionOf(region);
  const filled = resource.replace("PARTITION", partition).replace("ACCOUNT", place.account);
  if (!filled.includes("REGION")) return [filled];
  const regions = place.regions.length === 0 ? ["*"] : place.regions;
  return regions.map((region) => filled.replace("REGION", region));
}

function oneOrAll(values: readonly string[]): string | readonly string[] {
  const [first, ...rest] = values;
  return first !== undefined && rest.length === 0 ? first : values;
}

/** Prints a policy as the documentation has it: one statement a line. */
export function renderPolicy(policy: PolicyDocument): string {
  const statements = policy.Statement.map((each) => ` ${JSON.stringify(each)}`).join(",\n");
  return `{"Version":"${policy.Version}","Statement":[\n${statements}\n]}`;
}
