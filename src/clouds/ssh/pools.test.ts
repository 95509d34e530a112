import { describe, expect, test } from "vitest";
import { findPool, parsePools } from "./pools.ts";

const source = { file: "pools.yaml", home: "/home/me" };
const parse = (text: string) => parsePools(text, source);

test("a pool's defaults count for hosts that say nothing themselves", () => {
  const [pool] = parse(`
lab:
  user: ubuntu
  identity_file: ~/.ssh/id
  password: secret
  hosts:
    - 10.0.0.1
    - ip: 10.0.0.2
      user: root
      identity_file: /keys/other
`);
  expect(pool?.hosts.map(({ password, ...rest }) => [rest, password?.reveal()])).toEqual([
    [{ host: "10.0.0.1", user: "ubuntu", identityFile: "/home/me/.ssh/id", hasDefaults: true }, "secret"],
    [{ host: "10.0.0.2", user: "root", identityFile: "/keys/other", hasDefaults: false }, "secret"],
  ]);
  expect(JSON.stringify(pool)).not.toContain('"secret"');
});

describe("what is wrong is said with its line", () => {
  test.each([
    ["lab: {}", "pool 'lab' has no hosts: list them under 'hosts'.\n  at pools.yaml:1"],
    ["lab:\n  hosts: [a, a]", "host 'a' is in pool 'lab' twice.\n  at pools.yaml:2"],
    ["lab:\n  hosts: [a]\n  usr: x", "unknown key 'usr': did you mean 'user'?.\n  at pools.yaml:3"],
    ["lab:\n  hosts:\n    - user: x", "a host needs an 'ip' (address or name).\n  at pools.yaml:3"],
    ["lab:\n  hosts: [-oProxyCommand=x]", "'-oProxyCommand=x' is not an address or name.\n  at pools.yaml:2"],
    ["lab:\n  hosts: ['a;b']", "'a;b' is not an address or name.\n  at pools.yaml:2"],
    ["lab:\n  hosts: [a]\n  user: -x", "'-x' is not a user.\n  at pools.yaml:3"],
    ["local:\n  hosts: [a]", "'local' is the name of this machine; give the pool another one.\n  at pools.yaml:1"],
    ["../x:\n  hosts: [a]", "'../x' cannot be the name of a pool"],
    ["[a]", "the file must map names of pools to pools."],
  ])("%j", (text, message) => {
    expect(() => parse(text)).toThrow(message);
  });

  test("the same pool twice", () => {
    expect(() => parse("lab:\n  hosts: [a]\nlab:\n  hosts: [b]")).toThrow("lab");
  });
});

test("a pool that is not there is told with those that are", () => {
  const pools = parse("lab:\n  hosts: [a]");
  expect(findPool(pools, "lab", "/home/me").name).toBe("lab");
  expect(() => findPool(pools, "x", "/home/me")).toThrow(
    "Cluster 'x' not found in SSH Node Pools file /home/me/.sky/ssh_node_pools.yaml",
  );
  expect(parse("")).toEqual([]);
});
