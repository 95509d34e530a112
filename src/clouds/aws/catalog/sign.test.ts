import { expect, it } from "vitest";
import { signedHeaders } from "./sign.ts";

const KEYS = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
const SCOPE = { region: "us-east-1", service: "service", nowMs: Date.UTC(2015, 7, 30, 12, 36, 0) };

// get-vanilla and post-vanilla of AWS's published test suite for Signature Version 4.
it.each([
  ["GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"],
  ["POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"],
])("signs %s as AWS's test suite has it", (method, signature) => {
  const call = { url: "https://example.amazonaws.com/", method, headers: {}, body: "" };
  expect(signedHeaders(call, KEYS, SCOPE)).toEqual({
    host: "example.amazonaws.com",
    "x-amz-date": "20150830T123600Z",
    authorization: `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=${signature}`,
  });
});

it("signs the session's token, too", () => {
  const call = { url: "https://example.amazonaws.com/", method: "POST", headers: { "x-amz-target": "T" }, body: "{}" };
  const headers = signedHeaders(call, { ...KEYS, sessionToken: "tok" }, SCOPE);
  expect(headers["x-amz-security-token"]).toBe("tok");
  expect(headers["authorization"]).toContain("SignedHeaders=host;x-amz-date;x-amz-security-token;x-amz-target,");
});
