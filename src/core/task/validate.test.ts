import { describe, expect, it } from "vitest";
import { parseTaskYaml } from "./parse.ts";
import { validateDag } from "./validate.ts";

describe("validateDag", () => {
  it.each([
    "name: a.b_c-d",
    "file_mounts: {/a: s3://b/x}",
    "file_mounts: {/a: {source: s3://b}}",
    "file_mounts: {/a: {source: 'https://acct.blob.core.windows.net/cont'}}",
    "file_mounts: {/a: {name: my-bucket}}",
    "file_mounts: {/a: {name: a-bucket-that-may-be-known, mode: COPY}}",
    "file_mounts: {/a: s3://b, /a/m: {source: s3://b}, /a/m/n: {source: s3://c}, /a/mm: s3://b}",
    "file_mounts: {/a: {name: UPPER, store: gcs}}",
    "volumes: {/a: vol, ~/b: {name: v, sub_path: x/y}}",
  ])("accepts %s", (yaml) => {
    expect(() => validateDag(parseTaskYaml(yaml))).not.toThrow();
  });

  it.each([
    ["name: bad name!", "Invalid task name bad name!. Valid name: ASCII characters"],
    ["file_mounts: {/a: {source: s3://b}, /a/x: s3://c}", "/a/x lies inside of /a, where a bucket is mounted"],
    [
      "file_mounts: {./a/../m: {source: s3://b}, ~/sky_workdir/m: ./x}",
      "~/sky_workdir/m is the same place as ./a/../m, where a bucket is mounted",
    ],
    [
      "file_mounts: {~/m/: {source: s3://b}, ~/m: {source: s3://b, mode: COPY}}",
      "~/m is the same place as ~/m/, where a bucket is mounted",
    ],
    ["file_mounts: {/a: ftp://h/x}", "File mount source 'ftp://h/x' cannot be used: ftp:// is not supported."],
    ["file_mounts: {/a: {source: ftp://h/x}}", "Supported paths: local, s3://, gs://"],
    ["file_mounts: {/a: {}}", "Storage source or storage name must be specified."],
    ["file_mounts: {/a: {source: ./x}}", "Storage name must be specified if the source is local."],
    [
      "file_mounts: {/a: {source: s3://b, name: n}}",
      "Storage name should not be specified if the source is a remote URI.",
    ],
    ["file_mounts: {/a: {name: s3://b}}", "Prefix detected: `name` cannot start with s3://."],
    [
      "file_mounts: {/a: {name: ab}}",
      "Invalid store name: name ab must be between 3 (min) and 63 (max) characters long.",
    ],
    ["file_mounts: {/a: {name: A_b, store: s3}}", "Invalid store name: name A_b can consist only of lowercase letters"],
    [
      "file_mounts: {/a: {name: 192.168.0.1}}",
      "Invalid store name: name 192.168.0.1 must not be formatted as an IP address",
    ],
    ["file_mounts: {/a: {name: xn--abc}}", "Invalid store name: name xn--abc must not start with the prefix"],
    ["file_mounts: {/a: {name: a..b}}", "Invalid store name: name a..b must not contain two adjacent periods."],
    ["file_mounts: {/a: {name: abc-s3alias}}", "Invalid store name: name abc-s3alias must not end with the suffix"],
    [
      "volumes: {a: vol}",
      'File mount destination must be an absolute path (start with "/" or "~"). Got: \'a\' in volumes.',
    ],
    ["volumes: {/a/: vol}", "Mount paths cannot end with a slash Found: /a/ in volumes."],
    ["volumes: {/a: 5}", "Invalid volume config: 5"],
    ["volumes: {/a: {name: v, sub_path: ../x}}", 'Invalid volume mount config: "../x"'],
  ])("refuses %s", (yaml, message) => {
    expect(() => validateDag(parseTaskYaml(yaml))).toThrow(message);
  });
});
