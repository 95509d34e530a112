import { expect, test } from "vitest";
import { ClusterNotUpError, CommandError, InvalidValueError, ResourcesUnavailableError } from "../errors.ts";
import { encodeWireError, toWireError, WireError } from "./error.ts";

test("an error for the user keeps its class, arguments, hint and code", () => {
  const error = new ClusterNotUpError("Cluster c1 is STOPPED.", { hint: "sky start c1" });
  expect(toWireError(error)).toEqual({
    type: "ClusterNotUpError",
    message: "Cluster c1 is STOPPED.",
    args: ["Cluster c1 is STOPPED."],
    attributes: { cluster_status: null, handle: null },
    stacktrace: null,
    hint: "sky start c1",
    code: "CLUSTER_NOT_UP",
  });
});

test("constructors of the official client get the arguments they take", () => {
  expect(toWireError(new ResourcesUnavailableError("full", { noFailover: true }))).toMatchObject({
    args: ["full"],
    attributes: { no_failover: true, failover_history: [] },
  });
  expect(toWireError(new CommandError(3, "make", "it failed", { detail: "log" }))).toMatchObject({
    type: "CommandError",
    args: [],
    attributes: { returncode: 3, command: "make", error_msg: "it failed", detailed_reason: "log" },
  });
});

test("a bug shows its message and where to look, never its stack", () => {
  const wire = toWireError(new TypeError("x is not a function"), { requestId: "r1" });
  expect(wire).toMatchObject({
    type: "RuntimeError",
    message: "Internal error: x is not a function",
    code: "INTERNAL",
  });
  expect(wire.hint).toContain("r1");
  expect(JSON.stringify(wire)).not.toContain("error.test.ts");
  expect(toWireError("text").message).toBe("Internal error: text");
});

test("the encoded form has the pickle and the plain fields", () => {
  const encoded: unknown = JSON.parse(encodeWireError(toWireError(new InvalidValueError("no"))));
  expect(encoded).toMatchObject({ type: "ValueError", message: "no", hint: null, code: "INVALID_VALUE" });
  const { object } = encoded as { object: string };
  const pickle = Buffer.from(object, "base64");
  expect(pickle.subarray(0, 3).toString("hex")).toBe("80047d");
  expect(pickle.toString("latin1")).toContain("ValueError");
});

test("a stored error of an older release still reads", () => {
  expect(WireError.parse({ type: "ValueError", message: "m", args: [], attributes: {} })).toMatchObject({
    hint: null,
    code: null,
  });
});
