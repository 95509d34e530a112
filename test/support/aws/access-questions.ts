import type { AccessQuestion } from "./policy-evaluator.ts";

/** A request to AWS, read as far as its authorization depends on it. */
export interface AwsRequest {
  readonly service: string;
  readonly region: string;
  readonly action: string;
  readonly params: URLSearchParams;
  /** Path of an S3 request, without the leading slash. */
  readonly path: string;
  /** What of the bucket an S3 request is about that names several objects. */
  readonly keys?: readonly string[];
}

const ACCOUNT = "123456789012";

type Tags = Readonly<Record<string, string>>;

/** Everything that AWS checks for a request, in its order. `tagsOf` gives the tags of a resource by its id. */
export function questionsOf(request: AwsRequest, tagsOf: (id: string) => Tags): readonly AccessQuestion[] {
  switch (request.service) {
    case "ec2":
      return ec2Questions(request, tagsOf);
    case "iam":
      return iamQuestions(request);
    case "ssm":
      return ssmQuestions(request, tagsOf);
    case "s3":
      return (request.keys?.map((key) => `${request.path}/${key}`) ?? [request.path]).map((path) =>
        s3Question({ ...request, path }),
      );
    default:
      return [{ action: request.action, resource: "*", context: {} }];
  }
}

function s3Question({ action, path, params }: AwsRequest): AccessQuestion {
  const prefix = params.get("prefix");
  return {
    action,
    resource: `arn:aws:s3:::${path === "" ? "*" : decodeURIComponent(path)}`,
    context: prefix === null ? {} : { "s3:prefix": prefix },
  };
}

function ec2Questions(request: AwsRequest, tagsOf: (id: string) => Tags): readonly AccessQuestion[] {
  const { action, params } = request;
  const name = action.slice("ec2:".length);
  const arn = (kind: string, id: string): string =>
    `arn:aws:ec2:${request.region}:${kind === "image" || kind === "snapshot" ? "" : ACCOUNT}:${kind}/${id}`;
  const on = (kind: string, id: string | null): AccessQuestion => ({
    action,
    resource: arn(kind, id ?? "*"),
    context: prefixed("aws:ResourceTag/", tagsOf(id ?? "")),
  });
  if (name.startsWith("Describe")) return [{ action, resource: "*", context: {} }];
  switch (name) {
    case "RunInstances":
      return [...runQuestions(request, on), ...tagQuestions(request, arn), ...passedRole(request)];
    case "CreateSecurityGroup":
      return [on("security-group", null), on("vpc", params.get("VpcId")), ...tagQuestions(request, arn)];
    case "CreatePlacementGroup":
      return [on("placement-group", params.get("GroupName")), ...tagQuestions(request, arn)];
    case "DeletePlacementGroup":
      return [on("placement-group", params.get("GroupName"))];
    case "CreateTags":
      return [...params].filter(([key]) => key.startsWith("ResourceId.")).map(([, id]) => on(kindOf(id), id));
    case "ModifyInstanceAttribute":
      return [on("instance", params.get("InstanceId")), ...groupsOf(params).map((id) => on("security-group", id))];
    case "CreateImage":
      return [on("instance", params.get("InstanceId")), on("image", null), on("snapshot", null)];
    case "CopyImage":
      return [on("image", null), on("snapshot", null)];
    case "DeregisterImage":
      return [on("image", params.get("ImageId"))];
    case "DeleteSnapshot":
      return [on("snapshot", params.get("SnapshotId"))];
    default:
      if (name.includes("SecurityGroup")) return [on("security-group", params.get("GroupId"))];
      return [...params].filter(([key]) => key.startsWith("InstanceId.")).map(([, id]) => on("instance", id));
  }
}

/** A session is started on an instance with a document, and is its owner's afterwards. */
function ssmQuestions({ action, region, params }: AwsRequest, tagsOf: (id: string) => Tags): readonly AccessQuestion[] {
  const [target, document, session] = [params.get("Target"), params.get("DocumentName"), params.get("SessionId")];
  const ask = (resource: string, context: Tags = {}): AccessQuestion => ({ action, resource, context });
  const sessions = `arn:aws:ssm:${region}:${ACCOUNT}:session/${session ?? ""}`;
  switch (action) {
    case "ssm:StartSession":
      return [
        ask(
          `arn:aws:ec2:${region}:${ACCOUNT}:instance/${target ?? ""}`,
          prefixed("ssm:resourceTag/", tagsOf(target ?? "")),
        ),
        ask(`arn:aws:ssm:${region}::document/${document ?? ""}`),
      ];
    case "ssm:ResumeSession":
    case "ssm:TerminateSession":
      return [ask(sessions)];
    default:
      return [ask("*")];
  }
}

function runQuestions(
  { params }: AwsRequest,
  on: (kind: string, id: string | null) => AccessQuestion,
): readonly AccessQuestion[] {
  const requested = prefixed("aws:RequestTag/", specifiedTags(params, "instance"));
  const instance = on("instance", null);
  const volumeTags = prefixed("aws:RequestTag/", specifiedTags(params, "volume"));
  const volume = on("volume", null);
  return [
    on("image", params.get("ImageId")),
    { ...instance, context: { ...instance.context, ...requested } },
    { ...volume, context: { ...volume.context, ...volumeTags } },
    on("network-interface", null),
    on("subnet", params.get("NetworkInterface.1.SubnetId") ?? params.get("SubnetId")),
    ...groupsOf(params).map((id) => on("security-group", id)),
    ...placementOf(params).map((name) => on("placement-group", name)),
  ];
}

function placementOf(params: URLSearchParams): readonly string[] {
  const name = params.get("Placement.GroupName");
  return name === null ? [] : [name];
}

function tagQuestions(request: AwsRequest, arn: (kind: string, id: string) => string): readonly AccessQuestion[] {
  const kinds = [...request.params].filter(([key]) => /^TagSpecification\.\d+\.ResourceType$/u.test(key));
  return kinds.map(([, kind]) => ({
    action: "ec2:CreateTags",
    // What has a name instead of an id is known before it exists.
    resource: arn(kind, kind === "placement-group" ? (request.params.get("GroupName") ?? "") : "*"),
    context: { "ec2:CreateAction": request.action.slice("ec2:".length) },
  }));
}

function passedRole({ params }: AwsRequest): readonly AccessQuestion[] {
  const profile = params.get("IamInstanceProfile.Arn")?.split("/").at(-1) ?? params.get("IamInstanceProfile.Name");
  if (profile === null || profile === undefined) return [];
  return [passRole(profile)];
}

function passRole(role: string): AccessQuestion {
  return {
    action: "iam:PassRole",
    resource: `arn:aws:iam::${ACCOUNT}:role/${role}`,
    context: { "iam:PassedToService": "ec2.amazonaws.com" },
  };
}

function iamQuestions({ action, params }: AwsRequest): readonly AccessQuestion[] {
  const [role, profile, policy] = [params.get("RoleName"), params.get("InstanceProfileName"), params.get("PolicyName")];
  const on = (resource: string): AccessQuestion => ({
    action,
    resource: `arn:aws:iam::${ACCOUNT}:${resource}`,
    context: {},
  });
  if (action === "iam:AddRoleToInstanceProfile") return [on(`instance-profile/${profile ?? ""}`), passRole(role ?? "")];
  if (action === "iam:CreateServiceLinkedRole") {
    return [{ action, resource: "*", context: { "iam:AWSServiceName": params.get("AWSServiceName") ?? "" } }];
  }
  if (action === "iam:SimulatePrincipalPolicy") {
    return [{ action, resource: params.get("PolicySourceArn") ?? "", context: {} }];
  }
  if (profile !== null) return [on(`instance-profile/${profile}`)];
  if (role !== null) return [on(`role/${role}`)];
  if (params.get("PolicyArn") !== null) return [{ action, resource: params.get("PolicyArn") ?? "", context: {} }];
  return [on(policy === null ? "*" : `policy/${policy}`)];
}

function groupsOf(params: URLSearchParams): readonly string[] {
  return [...params]
    .filter(([key]) => /^(?:NetworkInterface\.\d+\.)?(?:SecurityGroupId|GroupId)\.\d+$/u.test(key))
    .map(([, id]) => id);
}

function specifiedTags(params: URLSearchParams, kind: string): Tags {
  const [found] =
    [...params].find(([key, value]) => /^TagSpecification\.\d+\.ResourceType$/u.test(key) && value === kind) ?? [];
  if (found === undefined) return {};
  const prefix = found.replace(/ResourceType$/u, "Tag.");
  const tags: Record<string, string> = {};
  for (let index = 1; params.has(`${prefix}${index}.Key`); index += 1) {
    tags[params.get(`${prefix}${index}.Key`) ?? ""] = params.get(`${prefix}${index}.Value`) ?? "";
  }
  return tags;
}

function prefixed(prefix: string, tags: Tags): Record<string, string> {
  return Object.fromEntries(Object.entries(tags).map(([key, value]) => [`${prefix}${key}`, value]));
}

function kindOf(id: string): string {
  if (id.startsWith("i-")) return "instance";
  return id.startsWith("vol-") ? "volume" : "security-group";
}
