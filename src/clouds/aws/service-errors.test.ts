import { expect, it } from "vitest";
import { InvalidValueError, OperationFailedError } from "../../shared/errors.ts";
import { explainServiceError, withServiceErrors } from "./service-errors.ts";

function sdkError(name: string, message: string): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode: 400 } });
}

it("an error of AWS reaches the user in AWS's words", async () => {
  const work = (): Promise<never> =>
    Promise.reject(sdkError("LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000"));
  await expect(withServiceErrors(work)).rejects.toThrow(
    new OperationFailedError("AWS answered LimitExceeded: Cannot exceed quota for RolesPerAccount: 1000"),
  );
});

it("one about the credentials says where to look", () => {
  const error = explainServiceError(sdkError("ExpiredToken", "The security token included in the request is expired"));
  expect(error).toMatchObject({ hint: "sky check aws -v", message: expect.stringContaining("ExpiredToken") });
});

it("other errors stay what they are", () => {
  const [bug, ours] = [new TypeError("x"), new InvalidValueError("y")];
  expect([bug, ours, "text"].map(explainServiceError)).toEqual([bug, ours, "text"]);
});
