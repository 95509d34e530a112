import { expect, test } from "vitest";
import { loadNodeConfig, parseNodeConfig } from "./node-config.ts";

const config = {
  clusterName: "t1",
  clusterNameOnCloud: "t1-abcd1234",
  clusterToken: "ab".repeat(32),
  index: 1,
  numNodes: 2,
  ip: "10.0.0.2",
  resources: { cpus: 2, memoryGib: 8, accelerators: { A100: 0.5 } },
  home: "/home/me",
  head: { host: "10.0.0.1", port: 4321 },
  power: "leave",
  clusterInfo: "{}",
};

test("a complete configuration is taken, unknown keys of a newer server included", () => {
  expect(parseNodeConfig({ ...config, newer: true }, "node.json")).toMatchObject(config);
});

test.each([
  ["clusterToken", "secret-but-short"],
  ["index", -1],
  ["numNodes", 0],
  ["home", "relative"],
  ["power", "explode"],
  ["resources", { cpus: "2", memoryGib: 8, accelerators: {} }],
  ["head", { host: "10.0.0.1" }],
  ["clusterName", undefined],
])("%s is named when it is wrong, its value is not shown", (key, value) => {
  const broken = { ...config, [key]: value };
  expect(() => parseNodeConfig(broken, "node.json")).toThrow(`node.json: "${key}" is missing or invalid.`);
});

test("a file that is missing is said plainly", () => {
  expect(() => loadNodeConfig("/nonexistent/node.json")).toThrow("Cannot read the node's configuration");
});
