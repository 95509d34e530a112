import { choiceOr, commandSpec, file, flag, text, texts } from "../parser/spec.ts";
import { configOption, outputOption, yesOption } from "./shared-options.ts";

const features = texts(
  "--features",
  "What it has to allow, separated by commas: launch (always), spot, ports, role, efa, clone-disk, ssm, s3, mounts, buckets, bucket-care, kms, explain, all.",
);
const region = texts("--region", "Region to limit EC2 to; may be repeated. All regions by default.");
const tagScoped = flag("--tag-scoped", "Limit it to instances and security groups that SkyPilot tagged.");

export const awsPolicySpec = commandSpec({
  help:
    "Print the IAM policy that SkyPilot needs.\n\n" +
    "The least that works: the minimal policy, and a statement more for each feature that is asked for or that the task uses.",
  args: {},
  options: {
    config: configOption,
    features,
    from: file("--from", "Task YAML: what that task needs."),
    tier: choiceOr(
      "--tier",
      ["admin-setup", "user", "node"],
      "Who gets it: the admin who runs `sky aws setup`, the users, or the role of the nodes.",
      "user",
    ),
    account: text("--account", "Id of the account; by default that of your credentials."),
    region,
    tagScoped,
    bucket: texts(
      "--bucket",
      "Bucket, or a part of it (name/prefix), to limit S3 to; wildcards and repetition allowed. All buckets by default.",
    ),
    diff: flag("--diff", "Print only what your credentials lack of it."),
    outputFormat: outputOption,
  },
});

export const awsSetupSpec = commandSpec({
  help:
    "Set an AWS account up for SkyPilot.\n\n" +
    "For an admin: makes the role and instance profile of the nodes, and a policy to attach to the users. Shows what it will do, and asks.",
  args: {},
  options: {
    config: configOption,
    features,
    region,
    tagScoped,
    dryRun: flag("--dry-run --dryrun", "Show what would be done, and do nothing."),
    yes: yesOption,
    outputFormat: outputOption,
  },
});
